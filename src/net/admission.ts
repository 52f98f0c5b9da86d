/**
 * Who may hold a TCP connection, and for how long: pure. `server.ts` is the edge.
 *
 * Connections are shared out by source address, and what nobody else needs anybody may have: only a full house makes the source with the most give
 * one to the source with fewer. So one source, however many connections it opens, costs the others nothing; and a room of machines behind one
 * address (NAT) is slowed down at its share, never shut out.
 */
export interface Share {
  /** Connections of all sources together. */
  readonly total: number;
  /** Of one source. */
  readonly each: number;
  /** Many callers come from one source, and count by who they are once that is known: within its share the one that stands still longest gives way. */
  readonly newest?: boolean;
}

export interface Held {
  readonly source: string;
  /** Monotonic ms of the last progress: within a source, the connection that stands still longest gives way. */
  readonly progressAt: number;
}

export type Admission<T extends Held> =
  | { readonly kind: 'admit' }
  /** In the place of this one. */
  | { readonly kind: 'replace'; readonly victim: T }
  | { readonly kind: 'refuse'; readonly reason: 'Share' | 'Total' };

export function admit<T extends Held>(
  held: ReadonlySet<T>,
  source: string,
  { total, each, newest }: Share,
): Admission<T> {
  let own = 0;
  for (const other of held) if (other.source === source) own++;
  if (own >= each) {
    const still = newest ? stillest([...held].filter((other) => other.source === source)) : undefined;
    return still ? { kind: 'replace', victim: still } : { kind: 'refuse', reason: 'Share' };
  }
  if (held.size < total) return { kind: 'admit' };
  const [heaviest, count] = heaviestOf(held);
  // One less than it has must still be no fewer than the newcomer then has: else two sources take it from each other for ever.
  if (count <= own + 1) return { kind: 'refuse', reason: 'Total' };
  const victim = stillest([...held].filter((other) => other.source === heaviest));
  return victim ? { kind: 'replace', victim } : { kind: 'refuse', reason: 'Total' };
}

/** Of those that proved who they are, one more than may be: who gives way. The newest is let in always, for a source that lost its way opens another. */
export function givesWay<T extends Held>(held: ReadonlySet<T>, source: string, { total, each }: Share): T | undefined {
  const own = [...held].filter((other) => other.source === source);
  if (own.length >= each) return stillest(own);
  if (held.size < total) return undefined;
  const [heaviest] = heaviestOf(held);
  return stillest([...held].filter((other) => other.source === heaviest));
}

function heaviestOf(held: ReadonlySet<Held>): readonly [string, number] {
  const counts = new Map<string, number>();
  for (const { source } of held) counts.set(source, (counts.get(source) ?? 0) + 1);
  let heaviest: readonly [string, number] = ['', 0];
  for (const entry of counts) if (entry[1] > heaviest[1]) heaviest = entry;
  return heaviest;
}

const stillest = <T extends Held>(all: readonly T[]): T | undefined =>
  all.reduce<T | undefined>((found, next) => (found && found.progressAt <= next.progressAt ? found : next), undefined);

/** The floor of speed: whoever lets an answer wait takes so many bytes of it in so long. iPXE on the worst link that boots at all takes ten times that. */
export const FLOOR_BYTES = 64 << 10;
const FLOOR_MS = 10_000;
/** How often connections are looked at. */
export const LOOK_MS = 1_000;

/** Since the last progress of a connection. */
export interface Pace {
  /** Bytes that the peer had taken then. */
  readonly taken: number;
  /** How long bytes have waited for the peer since. */
  readonly waitedMs: number;
}

/**
 * The pace after another look. `waiting`: bytes wait here for the peer to take. `elapsedMs` since the look before; of more than two looks no more counts,
 * because then it was this process that stood still.
 */
export function paced(pace: Pace, look: { taken: number; waiting: boolean }, elapsedMs: number): Pace | 'TooSlow' {
  if (!look.waiting || look.taken - pace.taken >= FLOOR_BYTES) return { taken: look.taken, waitedMs: 0 };
  const waitedMs = pace.waitedMs + Math.min(elapsedMs, 2 * LOOK_MS);
  return waitedMs >= FLOOR_MS ? 'TooSlow' : { ...pace, waitedMs };
}
