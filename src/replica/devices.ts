/** All devices, sessions or copies that a follower holds: what brings a table back that the database lost, who uses a version, and where it lies. */
import type { Copy, Device, Session } from '../farm/model.ts';
import { parseCopy } from '../farm/parse.ts';
import { fail, ok } from '../kit/result.ts';
import { kindKey, META, SCHEMA } from './layout.ts';
import { asked, openOnce, type RedisAnswer } from './link.ts';

/** By name. */
export async function replicaDevices(socketPath: string): RedisAnswer<readonly Device[]> {
  const texts = await allOf(socketPath, 'device');
  if (!texts.ok) return texts;
  const devices = texts.value.map((text) => JSON.parse(text) as Device);
  return ok(devices.sort((a, b) => (a.name < b.name ? -1 : 1)));
}

/** Those that have not ended. */
export async function replicaSessions(socketPath: string): RedisAnswer<readonly Session[]> {
  const texts = await allOf(socketPath, 'session');
  return texts.ok ? ok(texts.value.map((text) => JSON.parse(text) as Session)) : texts;
}

/** What the operator judged last. One that is not as the farm model says is left out. */
export async function replicaCopies(socketPath: string): RedisAnswer<readonly Copy[]> {
  const texts = await allOf(socketPath, 'copy');
  if (!texts.ok) return texts;
  return ok(
    texts.value.flatMap((text) => {
      const copy = parseCopy(text);
      return copy.ok ? [copy.value] : [];
    }),
  );
}

/** META and the entries in one MULTI, so that half a replica is never taken for the whole. */
async function allOf(socketPath: string, kind: 'device' | 'session' | 'copy'): RedisAnswer<readonly string[]> {
  const opened = await openOnce({ url: socketPath });
  if (!opened.ok) return opened;
  const redis = opened.value;
  try {
    const read = await asked(socketPath, async () => {
      const executed = (await redis.multi().hmget(META, 'schema', 'kinds').hvals(kindKey(kind)).exec()) ?? [];
      const failed = executed.find(([error]) => error);
      if (failed) throw failed[0];
      return executed.map(([, answer]) => answer);
    });
    if (!read.ok) return read;
    const [meta, texts] = read.value;
    const [schema, kinds] = meta as readonly (string | null)[];
    if (!schema) return fail('NotLoaded', `the follower at ${socketPath} holds no farm yet`);
    if (Number(schema) !== SCHEMA)
      return fail(
        'SchemaUnknown',
        `the follower at ${socketPath} holds schema ${schema}; this release reads ${SCHEMA}`,
      );
    // A leader of a release that does not know the kind leaves what another one wrote of it.
    if (kind === 'copy' && !kinds?.split(' ').includes(kind)) return ok([]);
    return ok(texts as readonly string[]);
  } finally {
    redis.disconnect();
  }
}
