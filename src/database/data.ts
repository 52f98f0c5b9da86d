/** The port `FarmData` over PostgreSQL: what a server reads while its own follower holds nothing. */
import type { Kysely } from 'kysely';
import type { FarmAnswer, FarmData, FarmDataFault } from '../farm/data.ts';
import type { Device, FarmSnapshot } from '../farm/model.ts';
import { type EntryFault, type Parse, parseDevice, parseName, parseSession } from '../farm/parse.ts';
import { knownDevice } from '../farm/refusal.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import type { Answer, Database } from './connection.ts';
import type { DatabaseFault } from './fault.ts';
import { type Kind, readEntries, readSnapshot } from './kinds.ts';
import type { Tables } from './tables.ts';

/** The database tells nobody of changes, so the small tables are read again and compared. Only while somebody listens. */
const POLL_MS = 1_000;

/** Closing it leaves the database open. */
export function databaseData(database: Database, pollMs: number = POLL_MS): FarmData {
  const listeners = new Set<() => void>();
  let seen: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  const ask = async <T>(work: (db: Kysely<Tables>) => Promise<Result<T, EntryFault>>): FarmAnswer<T> => {
    const answer = await asData(
      database.run(async (db) => ((await hasFarm(db)) ? ok({ found: await work(db) }) : ok(undefined))),
    );
    return answer.ok ? answer.value.found : answer;
  };
  const one = <T>(kind: Kind, key: string, parse: Parse<T>): FarmAnswer<T | undefined> =>
    ask((db) => find(db, kind, key, parse));

  const poll = async (): Promise<void> => {
    const answer = await asData(database.run(readSnapshot));
    const now = JSON.stringify(answer.ok ? answer.value : answer.error.code);
    const changed = seen !== undefined && now !== seen;
    seen = now;
    if (changed) for (const listener of listeners) listener();
    if (listeners.size > 0) timer = setTimeout(poll, pollMs).unref();
  };

  return {
    snapshot: () => asData<FarmSnapshot>(database.run(readSnapshot)),
    deviceByMac: (mac) => ask((db) => findBy(db, 'mac', mac)),
    deviceByName: (name) => one('device', name, parseDevice),
    devicesByName: (names) =>
      ask(async (db) => {
        const removed = new Set((await readEntries(db, 'removed', names)).map(({ key }) => key));
        const devices = new Map(
          (await readEntries(db, 'device', names)).map(({ key, json }) => [key, parseDevice(json)]),
        );
        return ok(
          new Map(
            names.map((name) => {
              const device = devices.get(name);
              return [name, knownDevice(device?.ok ? device.value : undefined, removed.has(name))];
            }),
          ),
        );
      }),
    deviceByUuid: (uuid) => ask((db) => findBy(db, 'uuid', uuid)),
    deviceCount: () =>
      ask(async (db) => {
        const { count } = await db
          .selectFrom('device')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow();
        return ok(count);
      }),
    sessionOf: (device) => one('session', device, parseSession),
    onChange(callback) {
      listeners.add(callback);
      if (listeners.size === 1) void poll();
      return () => {
        listeners.delete(callback);
        if (listeners.size === 0) stop();
      };
    },
    async close() {
      listeners.clear();
      stop();
    },
  };

  function stop(): void {
    clearTimeout(timer);
    seen = undefined;
  }
}

const hasFarm = async (db: Kysely<Tables>): Promise<boolean> =>
  (await db.selectFrom('farm').select('id').executeTakeFirst()) !== undefined;

type Found<T> = Promise<Result<T | undefined, EntryFault>>;

async function find<T>(db: Kysely<Tables>, kind: Kind, key: string, parse: Parse<T>): Found<T> {
  const [entry] = await readEntries(db, kind, [key]);
  return entry ? parse(entry.json) : ok(undefined);
}

async function findBy(db: Kysely<Tables>, kind: 'mac' | 'uuid', key: string): Found<Device> {
  const name = await find(db, kind, key, parseName);
  if (!name.ok) return name;
  return name.value === undefined ? ok(undefined) : find(db, 'device', name.value, parseDevice);
}

async function asData<T>(answer: Answer<Result<T | undefined, EntryFault>>): FarmAnswer<T> {
  const result = await answer;
  if (!result.ok) return { ok: false, error: asDataFault(result.error) };
  if (!result.value.ok) return result.value;
  if (result.value.value === undefined)
    return fail('NotLoaded', 'the database holds no farm yet: the operator fills it once a Farm resource is there');
  return ok(result.value.value);
}

/** Reads conflict with nobody but a serialization that the database gave up: that is a refusal. No fence is before them. */
const asDataFault = ({ code, message }: DatabaseFault): FarmDataFault => ({
  code: code === 'Conflict' || code === 'Fenced' || code === 'Invalid' ? 'Refused' : code,
  message,
});
