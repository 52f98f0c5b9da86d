/** The server's source of farm data: its own replica; while that holds nothing, the database. One code path for both. */
import type { FarmAnswer, FarmData } from '../farm/data.ts';

/** Faults of the replica that say it has nothing to give, not that the farm has no such thing. */
export function firstWhole(replica: FarmData, database: FarmData): FarmData {
  const ask = async <T>(question: (data: FarmData) => FarmAnswer<T>): FarmAnswer<T> => {
    const own = await question(replica);
    if (own.ok) return own;
    const fallback = await question(database);
    return fallback.ok ? fallback : own;
  };
  return {
    snapshot: () => ask((data) => data.snapshot()),
    deviceByMac: (mac) => ask((data) => data.deviceByMac(mac)),
    deviceByName: (name) => ask((data) => data.deviceByName(name)),
    devicesByName: (names) => ask((data) => data.devicesByName(names)),
    deviceByUuid: (uuid) => ask((data) => data.deviceByUuid(uuid)),
    deviceCount: () => ask((data) => data.deviceCount()),
    sessionOf: (device) => ask((data) => data.sessionOf(device)),
    onChange(callback) {
      const stops = [replica.onChange(callback), database.onChange(callback)];
      return () => {
        for (const stop of stops) stop();
      };
    },
    async close() {
      await Promise.all([replica.close(), database.close()]);
    },
  };
}
