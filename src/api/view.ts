/** What a client is told of what changed: pure. */
import type { Change, ChangeKind } from './watch.ts';

/** What a client may see: kinds, and of those that belong to collections which. */
export interface View {
  readonly kinds: ReadonlySet<ChangeKind>;
  /** By kind; absent: of all collections. */
  readonly within: ReadonlyMap<ChangeKind, ReadonlySet<string>>;
}

/** A change, written once for all who may see it. */
export interface Told extends Omit<Change, 'value'> {
  /** JSON of `{kind, name, value}`. */
  readonly text: string;
  /** In memory, about. */
  readonly bytes: number;
}

/** What an entry takes beside its text. */
const ENTRY_BYTES = 200;

export function toldOf({ value, ...change }: Change): Told {
  const text = JSON.stringify({ kind: change.kind, name: change.name, value });
  return { ...change, text, bytes: Buffer.byteLength(text) + ENTRY_BYTES };
}

/** JSON; undefined: nothing. What left their collections is gone for them, wherever it went on the way. */
export function seenBy({ kinds, within }: View, { kind, name, collection, from = [], text }: Told): string | undefined {
  if (!kinds.has(kind)) return undefined;
  const some = within.get(kind);
  if (!some || (collection != null && some.has(collection))) return text;
  return from.some((one) => some.has(one)) ? JSON.stringify({ kind, name }) : undefined;
}

export const isSameView = (a: View, b: View): boolean =>
  isSameSet(a.kinds, b.kinds) &&
  [...a.kinds].every((kind) => {
    const [one, other] = [a.within.get(kind), b.within.get(kind)];
    return one && other ? isSameSet(one, other) : one === other;
  });

const isSameSet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((item) => b.has(item));

/** The number of an event that this start of a feed gave: `START.NUMBER`. Undefined: it did not. */
export function numberOf(lastEventId: string | undefined, start: string): number | undefined {
  const [of, number = '', ...more] = lastEventId?.split('.') ?? [];
  return of === start && more.length === 0 && /^\d{1,15}$/.test(number) ? Number(number) : undefined;
}
