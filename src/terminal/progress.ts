/** How far work is, for a person: on a screen one line that is written over once a second, elsewhere a line now and then. */
import { inUnits } from '../kit/units.ts';
import type { Terminal } from './terminal.ts';

/** On a screen. */
const EVERY_MS = 1_000;
/** Elsewhere, where each line stays: a line needs both. */
const LINE_MS = 30_000;
const LINE_PERCENT = 10;

const CLEAR = '\r\u001b[K';

export interface Progress {
  /** `totalBytes`: undefined where nobody knows it. */
  readonly tell: (doneBytes: number, totalBytes: number | undefined) => void;
  /** Takes the line away: before something else is said, and at the end. */
  readonly end: () => void;
}

/** `what`: is done, in front of each line. */
export function progressOn(
  { isWatched, err }: Pick<Terminal, 'isWatched' | 'err'>,
  what = '',
  clock: () => number = () => performance.now(),
): Progress {
  let first: Mark | undefined;
  let told: Mark | undefined;
  let isShown = false;
  return {
    tell(doneBytes, totalBytes) {
      const now: Mark = { atMs: clock(), doneBytes };
      // What was done before is no measure of how fast it goes.
      if (!first || doneBytes < first.doneBytes) first = told = now;
      if (!told || !isDue(told, now, totalBytes, isWatched)) return;
      told = now;
      isShown = isWatched;
      err(`${isWatched ? CLEAR : ''}${progressText(what, first, now, totalBytes)}${isWatched ? '' : '\n'}`);
    },
    end() {
      if (isShown) err(CLEAR);
      isShown = false;
    },
  };
}

interface Mark {
  readonly atMs: number;
  readonly doneBytes: number;
}

function isDue(told: Mark, now: Mark, totalBytes: number | undefined, isWatched: boolean): boolean {
  const passedMs = now.atMs - told.atMs;
  if (isWatched) return passedMs >= EVERY_MS;
  const fresh = now.doneBytes - told.doneBytes;
  return passedMs >= LINE_MS && (totalBytes === undefined || 100 * fresh >= LINE_PERCENT * totalBytes);
}

/** Pure. */
function progressText(what: string, first: Mark, now: Mark, totalBytes: number | undefined): string {
  const perMs = (now.doneBytes - first.doneBytes) / Math.max(now.atMs - first.atMs, 1);
  const rate = `${inUnits(1_000 * perMs)}/s`;
  if (totalBytes === undefined) return `${what}${inUnits(now.doneBytes)}, ${rate}`;
  const percent = totalBytes === 0 ? 100 : Math.floor((100 * now.doneBytes) / totalBytes);
  const left = perMs > 0 ? `, ${inTime((totalBytes - now.doneBytes) / perMs)} left` : '';
  return `${what}${percent} % of ${inUnits(totalBytes)}, ${rate}${left}`;
}

function inTime(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
