/** How far work is, as a line for a person: once a second, over the line before. And sizes as people say them. */
import type { Terminal } from './terminal.ts';

const EVERY_MS = 1_000;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function inUnits(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

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
