/** Dates of a manifest: UTC, `2020-02-11 10:41:07`, with a `T` for the blank, and parts of a second where its database had them. Pure. */

const DATE = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,7})?Z?$/;

/** Unix milliseconds; undefined: it is none. */
export function parseDate(text: string): number | undefined {
  const [, day, time, part = ''] = DATE.exec(text) ?? [];
  if (day === undefined || time === undefined) return undefined;
  const ms = Date.parse(`${day}T${time}${part.slice(0, 4)}Z`);
  // A day that there is none of becomes another one.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day) ? ms : undefined;
}

/** In whole seconds, but where there are parts of one. */
export const formatDate = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/(\.000)?Z$/, '');
