/** Whether pieces of a file that are said to hold different things are the same bytes. Pure. */

/** In the unit of the pieces, its end not within. */
export interface Area {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

/**
 * `starts` are those of blocks of `length` each, and are sorted here (0.5 million take 30 ms); areas are few; `unitBytes` is what all of them count in. Says what
 * two lie over each other, and at which byte; undefined: none do.
 */
export function overlap(
  starts: Uint32Array,
  length: number,
  areas: readonly Area[],
  unitBytes: number,
): string | undefined {
  starts.sort();
  const sorted = [...areas].sort((a, b) => a.start - b.start);
  for (const [index, area] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next && next.start < area.end)
      return `its ${area.what} and its ${next.what} lie over each other at byte ${next.start * unitBytes}`;
    const block = starts[firstFrom(starts, area.start - length + 1)];
    if (block !== undefined && block < area.end)
      return `a block of it at byte ${block * unitBytes} lies over its ${area.what}`;
  }
  for (let index = 1; index < starts.length; index++) {
    const start = starts[index] ?? 0;
    if (start - (starts[index - 1] ?? 0) < length)
      return `two of its blocks lie over each other at byte ${start * unitBytes}`;
  }
  return undefined;
}

/** The index of the first that is not below `least`. */
function firstFrom(sorted: Uint32Array, least: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
