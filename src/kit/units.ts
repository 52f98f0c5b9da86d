/** Sizes as people say them. */
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function inUnits(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}
