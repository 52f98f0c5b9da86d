/** What makes one value of another, as a JSON merge patch (RFC 7396): pure. */

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Undefined: they are the same. Null in it takes a field away; a list is given whole. */
export function mergePatchOf(before: unknown, after: unknown): unknown {
  if (!isFields(before) || !isFields(after)) return isSame(before, after) ? undefined : after;
  const entries = [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => {
    if (!(key in after)) return [[key, null] as const];
    const patch = key in before ? mergePatchOf(before[key], after[key]) : after[key];
    return patch === undefined ? [] : [[key, patch] as const];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Whatever the order of fields. */
function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => isSame(item, b[index]));
  if (isFields(a) && isFields(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && isSame(a[key], b[key]));
  }
  return a === b;
}
