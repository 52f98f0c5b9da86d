/** Sizes and times as people say them. */
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function inUnits(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

const TIMES = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
] as const;

/** Seconds in their largest unit, in short: `45s`, `12m`, `3h`, `5d`. */
export function inShort(seconds: number): string {
  const [of, unit] = TIMES.find(([length]) => seconds >= length) ?? [1, 's'];
  return `${Math.floor(seconds / of)}${unit}`;
}

const SECONDS = { h: 3_600, m: 60, s: 1 } as const;

/** `1h30m` → 5400. Throws where it is none. */
export function secondsOf(duration: string): number {
  const parts = [...duration.matchAll(/(\d+)([hms])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== duration)
    throw new Error(`not a duration: ${JSON.stringify(duration)}; write it as 720h, 10m or 1h30m`);
  return parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * SECONDS[unit as keyof typeof SECONDS], 0);
}
