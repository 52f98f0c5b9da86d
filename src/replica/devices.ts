/**
 * All devices, sessions or copies of a replica: of a follower what brings a table back that the database lost, who uses a version, and where it lies; of the
 * primary what is read while the database is away.
 */
import { type Kind, SMALL_KINDS } from '../database/kinds.ts';
import type { Copy, Device, FarmSnapshot, Session } from '../farm/model.ts';
import { parseCopy, parseSnapshot } from '../farm/parse.ts';
import { fail, ok } from '../kit/result.ts';
import { kindKey, META, type Meta, parseMeta, SCHEMA } from './layout.ts';
import { asked, openOnce, placeOfRedis, type RedisAccess, type RedisAnswer } from './link.ts';

/** By name. */
export async function replicaDevices(socketPath: string): RedisAnswer<readonly Device[]> {
  const read = await allOf({ url: socketPath }, ['device']);
  return read.ok ? ok(byName(read.value.texts('device'))) : read;
}

/** Those that have not ended. */
export async function replicaSessions(socketPath: string): RedisAnswer<readonly Session[]> {
  const read = await allOf({ url: socketPath }, ['session']);
  return read.ok ? ok(read.value.texts('session').map((text) => JSON.parse(text) as Session)) : read;
}

/** What the operator judged last. One that is not as the farm model says is left out. */
export async function replicaCopies(socketPath: string): RedisAnswer<readonly Copy[]> {
  const read = await allOf({ url: socketPath }, ['copy']);
  return read.ok ? ok(copies(read.value)) : read;
}

/** All that a replica holds, at one moment. */
export interface ReplicaFarm {
  readonly devices: readonly Device[];
  readonly sessions: readonly Session[];
  readonly copies: readonly Copy[];
  readonly snapshot: FarmSnapshot;
  readonly meta: Meta;
}

export async function replicaFarm(access: RedisAccess): RedisAnswer<ReplicaFarm> {
  const read = await allOf(access, [...SMALL_KINDS, 'device', 'session', 'copy']);
  if (!read.ok) return read;
  const { texts, meta } = read.value;
  const snapshot = parseSnapshot(texts);
  if (!snapshot.ok) return fail('SchemaUnknown', snapshot.error.message);
  if (!snapshot.value || !meta)
    return fail('NotLoaded', `the replica at ${placeOfRedis(access.url)} holds no entry of a farm`);
  const sessions = texts('session').map((text) => JSON.parse(text) as Session);
  return ok({ devices: byName(texts('device')), sessions, copies: copies(read.value), snapshot: snapshot.value, meta });
}

const byName = (texts: readonly string[]): readonly Device[] =>
  texts.map((text) => JSON.parse(text) as Device).sort((a, b) => (a.name < b.name ? -1 : 1));

/** A leader of a release that does not know the kind leaves what another one wrote of it. */
const copies = ({ kinds, texts }: All): readonly Copy[] =>
  kinds.includes('copy')
    ? texts('copy').flatMap((text) => {
        const copy = parseCopy(text);
        return copy.ok ? [copy.value] : [];
      })
    : [];

interface All {
  readonly meta: Meta | undefined;
  readonly kinds: readonly string[];
  texts(kind: Kind): readonly string[];
}

/** META and the entries in one MULTI, so that half a replica is never taken for the whole. HGETALL: what the projector may do, and a reader. */
async function allOf(access: RedisAccess, wanted: readonly Kind[]): RedisAnswer<All> {
  const place = placeOfRedis(access.url);
  const opened = await openOnce(access);
  if (!opened.ok) return opened;
  const redis = opened.value;
  try {
    const read = await asked(place, async () => {
      const multi = redis.multi().hgetall(META);
      for (const kind of wanted) multi.hgetall(kindKey(kind));
      const executed = (await multi.exec()) ?? [];
      const failed = executed.find(([error]) => error);
      if (failed) throw failed[0];
      return executed.map(([, answer]) => answer as Record<string, string>);
    });
    if (!read.ok) return read;
    const [fields = {}, ...entries] = read.value;
    const { schema } = fields;
    if (!schema) return fail('NotLoaded', `the replica at ${place} holds no farm yet`);
    if (Number(schema) !== SCHEMA)
      return fail('SchemaUnknown', `the replica at ${place} holds schema ${schema}; this release reads ${SCHEMA}`);
    const texts = (kind: Kind): readonly string[] => Object.values(entries[wanted.indexOf(kind)] ?? {});
    return ok({ meta: parseMeta(fields), kinds: fields['kinds']?.split(' ') ?? [], texts });
  } finally {
    redis.disconnect();
  }
}
