/**
 * How many devices use a thing: what the guard reads before something is deleted. A session that has not ended counts, whoever can be asked.
 *
 *     told at once:   more than was told
 *     told when calm: less than was told
 *
 * Calm: for RETURN_MS the database answered, and every server did, the same start of it, with nothing in its journal. A server that starts again
 * ends the sessions of the process before it, and its devices are back at some server within that time, or are off. Pure.
 */

/** Devices of one vDisk at one server. */
export interface Use {
  readonly server: string;
  /** Empty: the server does not say which. */
  readonly vdisk: string;
  readonly devices: number;
}

/** What a server said when it was asked last. */
export interface Asked {
  readonly instance: string;
  readonly streams: boolean;
  readonly journalEntries: number;
  readonly uses: readonly Use[];
}

/** One moment. */
export interface Sight {
  readonly atMs: number;
  /** Sessions that have not ended, as the database had them; absent: it does not answer. */
  readonly rows?: { readonly atMs: number; readonly uses: readonly Use[] };
  /** When the servers began to be asked for these answers. */
  readonly askedMs: number;
  /** Those that should be there; undefined: it does not answer. */
  readonly servers: ReadonlyMap<string, Asked | undefined>;
}

interface Reading {
  readonly atMs: number;
  readonly uses: readonly Use[];
}

export interface Uses {
  readonly atMs: number;
  readonly calmSinceMs: number;
  /** The start of each server. */
  readonly instances: ReadonlyMap<string, string>;
  /** The newest one that is older than the last answers of the servers, and all later ones. */
  readonly readings: readonly Reading[];
}

/** A machine without a server asks each of them again within 6 s, for ever; three times that. */
export const RETURN_MS = 20_000;

export function observe(before: Uses | undefined, sight: Sight): Uses {
  const { atMs, rows, askedMs, servers } = sight;
  const instances = new Map([...servers].flatMap(([name, asked]) => (asked ? [[name, asked.instance] as const] : [])));
  const isWhole =
    rows !== undefined && [...servers.values()].every((asked) => asked?.streams && asked.journalEntries === 0);
  const isCalm = isWhole && before !== undefined && sameStarts(before.instances, instances);
  const reading: Reading = { atMs: rows?.atMs ?? atMs, uses: usesOf(sight) };
  return {
    atMs,
    calmSinceMs: isCalm ? before.calmSinceMs : atMs,
    instances,
    readings: since(askedMs, [...(before?.readings ?? []), reading]),
  };
}

const sameStarts = (before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): boolean =>
  before.size === now.size && [...now].every(([name, instance]) => before.get(name) === instance);

/** A reading counts until a later one was taken before the servers were asked: had one of them started again meanwhile, it would have said so. */
function since(askedMs: number, readings: readonly Reading[]): readonly Reading[] {
  const newest = readings.findLastIndex(({ atMs }) => atMs < askedMs);
  return newest > 0 ? readings.slice(newest) : readings;
}

/** The database knows each device once. Of a server with a journal it knows too little; of all, while it is away. */
function usesOf({ rows, servers }: Sight): readonly Use[] {
  const asked = [...servers.values()].filter((found) => found !== undefined);
  if (!rows) return asked.flatMap(({ uses }) => uses);
  const journaled = asked.filter(({ journalEntries }) => journalEntries > 0).flatMap(({ uses }) => uses);
  return [...rows.uses, ...journaled.flatMap((use) => beyond(use, rows.uses))];
}

/** The devices of a server that the database lacks. */
function beyond(use: Use, rows: readonly Use[]): readonly Use[] {
  const known = rows.find(({ server, vdisk }) => server === use.server && vdisk === use.vdisk)?.devices ?? 0;
  return use.devices > known ? [{ ...use, devices: use.devices - known }] : [];
}

/** What is to be told of the uses of this kind, after `told`. */
export function inUse(uses: Uses | undefined, told: number, isOf: (use: Use) => boolean): number {
  if (!uses) return told;
  const seen = Math.max(0, ...uses.readings.map((reading) => sum(reading.uses.filter(isOf))));
  return uses.atMs - uses.calmSinceMs < RETURN_MS ? Math.max(seen, told) : seen;
}

const sum = (uses: readonly Use[]): number => uses.reduce((total, { devices }) => total + devices, 0);
