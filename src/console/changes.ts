/** What differs between two values, field by field: pure. */
export interface Difference {
  readonly field: string;
  readonly was?: string;
  readonly is?: string;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Null: it was not there, or is gone. */
export function changesOf(before: unknown, after: unknown, field = ''): readonly Difference[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isObject(before) || isObject(after)) {
    const [was, is] = [isObject(before) ? before : {}, isObject(after) ? after : {}];
    const keys = [...new Set([...Object.keys(was), ...Object.keys(is)])];
    return keys.flatMap((key) => changesOf(was[key], is[key], field === '' ? key : `${field}.${key}`));
  }
  const isThere = (value: unknown) => value !== undefined && value !== null;
  return [
    {
      field: field === '' ? 'all' : field,
      ...(isThere(before) ? { was: shown(before) } : {}),
      ...(isThere(after) ? { is: shown(after) } : {}),
    },
  ];
}
