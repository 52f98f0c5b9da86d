/** All devices that a follower holds: what brings a table back that the database lost. */
import type { Device } from '../farm/model.ts';
import { fail, ok } from '../kit/result.ts';
import { kindKey, META, SCHEMA } from './layout.ts';
import { asked, openOnce, type RedisAnswer } from './link.ts';

/** By name. META and the devices in one MULTI, so that half a replica is never taken for the whole. */
export async function replicaDevices(socketPath: string): RedisAnswer<readonly Device[]> {
  const opened = await openOnce({ url: socketPath });
  if (!opened.ok) return opened;
  const redis = opened.value;
  try {
    const read = await asked(socketPath, async () => {
      const executed = (await redis.multi().hget(META, 'schema').hvals(kindKey('device')).exec()) ?? [];
      const failed = executed.find(([error]) => error);
      if (failed) throw failed[0];
      return executed.map(([, answer]) => answer);
    });
    if (!read.ok) return read;
    const [schema, texts] = read.value;
    if (!schema) return fail('NotLoaded', `the follower at ${socketPath} holds no farm yet`);
    if (Number(schema) !== SCHEMA)
      return fail(
        'SchemaUnknown',
        `the follower at ${socketPath} holds schema ${schema}; this release reads ${SCHEMA}`,
      );
    const devices = (texts as readonly string[]).map((text) => JSON.parse(text) as Device);
    return ok(devices.sort((a, b) => (a.name < b.name ? -1 : 1)));
  } finally {
    redis.disconnect();
  }
}
