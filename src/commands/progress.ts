/** How far work is, as a line for a person: once a second, over the line before. */
import { inUnits } from '../kit/units.ts';
import type { Terminal } from '../terminal/terminal.ts';

const EVERY_MS = 1_000;

export interface Progress {
  readonly tell: (doneBytes: number, totalBytes: number) => void;
  /** Takes the line away. */
  readonly end: () => void;
}

/** Says nothing where nobody looks. */
export function progressOn({ isWatched, err }: Terminal, clock: () => number = () => performance.now()): Progress {
  const began = clock();
  let told = began;
  let isShown = false;
  return {
    tell(doneBytes, totalBytes) {
      const now = clock();
      if (!isWatched || now - told < EVERY_MS) return;
      told = now;
      isShown = true;
      const left = ((now - began) / Math.max(doneBytes, 1)) * (totalBytes - doneBytes);
      err(`\r\x1b[K${Math.floor((100 * doneBytes) / totalBytes)} % of ${inUnits(totalBytes)}, ${inTime(left)} left`);
    },
    end() {
      if (isShown) err('\r\x1b[K');
    },
  };
}

function inTime(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
