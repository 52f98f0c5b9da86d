/** Text that another process or another release wrote, as JSON of one shape. */
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';

/** Undefined: it is none. */
export function readJson<T extends TSchema>(schema: T, text: string): Static<T> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(schema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
