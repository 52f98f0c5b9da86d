/** How far work is, as a line for a person: once a second, over the line before; in a pipe or by `kubectl exec -i` a line now and then. */
import { inUnits } from '../kit/units.ts';
import type { Terminal } from '../terminal/terminal.ts';

const EVERY_MS = 1_000;

export interface Progress {
  readonly tell: (doneBytes: number, totalBytes: number) => void;
  /** Takes the line away. */
  readonly end: () => void;
}

/** Where nobody watches, plain lines, and few: each 10 %, and not twice within 30 s. */
export const progressOn = (terminal: Terminal, clock: () => number = () => performance.now()): Progress =>
  terminal.isWatched ? overwritten(terminal, clock) : inLines(terminal, clock);

function overwritten({ err }: Terminal, clock: () => number): Progress {
  const began = clock();
  let told = began;
  let isShown = false;
  return {
    tell(doneBytes, totalBytes) {
      const now = clock();
      if (now - told < EVERY_MS) return;
      told = now;
      isShown = true;
      err(`\r\x1b[K${lineOf(doneBytes, totalBytes, now - began)}`);
    },
    end() {
      if (isShown) err('\r\x1b[K');
    },
  };
}

const LINE_MS = 30_000;
const LINE_PERCENT = 10;

function inLines({ err }: Terminal, clock: () => number): Progress {
  const began = clock();
  let told = began;
  let percent = 0;
  return {
    tell(doneBytes, totalBytes) {
      const now = clock();
      const done = percentOf(doneBytes, totalBytes);
      // What begins anew is told from there on.
      percent = Math.min(percent, done);
      if (now - told < LINE_MS || done - percent < LINE_PERCENT || done >= 100) return;
      told = now;
      percent = done;
      err(`${lineOf(doneBytes, totalBytes, now - began)}\n`);
    },
    end: () => undefined,
  };
}

const percentOf = (doneBytes: number, totalBytes: number): number =>
  totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);

function lineOf(doneBytes: number, totalBytes: number, tookMs: number): string {
  const left = (tookMs / Math.max(doneBytes, 1)) * (totalBytes - doneBytes);
  return `${percentOf(doneBytes, totalBytes)} % of ${inUnits(totalBytes)}, ${inTime(left)} left`;
}

function inTime(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
