/** A server's view of the farm through its own follower, which answers with the primary, the database and the operator gone. */
import { type ChainableCommander, Redis } from 'ioredis';
import { SMALL_KINDS } from '../database/kinds.ts';
import type { FarmAnswer, FarmData } from '../farm/data.ts';
import type { Identity } from '../farm/identity.ts';
import type { Device, FarmSnapshot, Session } from '../farm/model.ts';
import { type Parse, parseDevice, parseName, parseSession, parseSnapshot } from '../farm/parse.ts';
import { type KnownDevice, knownDevice } from '../farm/refusal.ts';
import { gathered } from '../kit/gathered.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { kindKey, META, parseMeta, SCHEMA } from './layout.ts';
import { asked, READER, type RedisFault, redisFault } from './link.ts';

export interface FarmReplica extends FarmData {
  /** When a leader last confirmed that this is the state of the database, Unix milliseconds: what `offline.maxAge` is judged by. */
  checkedAt(): FarmAnswer<number>;
  /** Of the database that it was filled from. */
  identity(): FarmAnswer<Identity>;
}

export interface ReplicaOptions {
  /** Socket of the follower beside this server. */
  readonly socketPath: string;
  /** How often a listener's change is looked for. */
  readonly pollMs?: number;
}

const POLL_MS = 100;
/** A local socket answers in well under a millisecond; a follower that loads or writes its disk may take longer. */
const TIMEOUT_MS = 1_000;
const RECONNECT_MAX_MS = 500;

/** Never fails: a follower that is not there yet is a fault of each question, until it is. */
export function openReplica(options: ReplicaOptions): FarmReplica {
  return new FollowerReader(options);
}

class FollowerReader implements FarmReplica {
  readonly #redis: Redis;
  readonly #place: string;
  readonly #pollMs: number;
  /** Settles with the first attempt to connect, whatever became of it: a question asked at the start waits for it. */
  readonly #tried: Promise<unknown>;
  readonly #listeners = new Set<() => void>();
  readonly #together = gathered((fills: readonly Fill[]) => this.#askAll(fills));
  #timer: NodeJS.Timeout | undefined;
  /** What the last look found: a token, or the code of a fault. */
  #seen: string | undefined;
  #cached: { readonly token: string; readonly snapshot: FarmSnapshot } | undefined;

  constructor({ socketPath, pollMs = POLL_MS }: ReplicaOptions) {
    this.#place = socketPath;
    this.#pollMs = pollMs;
    this.#redis = new Redis({
      path: socketPath,
      ...READER,
      retryStrategy: (attempt) => Math.min(RECONNECT_MAX_MS, 20 * attempt),
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      enableReadyCheck: false, // LOADING is an answer of its own
      connectTimeout: TIMEOUT_MS,
      commandTimeout: TIMEOUT_MS,
    });
    this.#redis.on('error', () => {}); // each question hears of it
    this.#tried = new Promise((resolve) => this.#redis.once('ready', resolve).once('close', resolve));
  }

  async snapshot(): FarmAnswer<FarmSnapshot> {
    const token = await this.#ask(() => {});
    if (!token.ok) return token;
    if (this.#cached?.token === token.value.snapshot) return ok(this.#cached.snapshot);
    const read = await this.#ask((multi) => {
      for (const kind of SMALL_KINDS) multi.hvals(kindKey(kind));
    });
    if (!read.ok) return read;
    const { answers, snapshot: at } = read.value;
    const parsed = parseSnapshot((kind) => answers[SMALL_KINDS.indexOf(kind)] as string[]);
    if (!parsed.ok) return parsed;
    if (!parsed.value) return fail('SchemaUnknown', `Redis follower ${this.#place} holds no entry of a farm`);
    this.#cached = { token: at, snapshot: parsed.value };
    return ok(parsed.value);
  }

  deviceByName(name: string): FarmAnswer<Device | undefined> {
    return this.#find('device', name, parseDevice);
  }

  async devicesByName(names: readonly string[]): FarmAnswer<ReadonlyMap<string, KnownDevice>> {
    if (names.length === 0) return ok(new Map());
    const read = await this.#ask((multi) => {
      multi.hmget(kindKey('device'), ...names);
      multi.hmget(kindKey('removed'), ...names);
    });
    if (!read.ok) return read;
    const [devices, removed] = read.value.answers as readonly (readonly (string | null)[])[];
    return ok(
      new Map(
        names.map((name, index) => {
          const text = devices?.[index];
          const device = text == null ? undefined : parseDevice(text);
          return [name, knownDevice(device?.ok ? device.value : undefined, removed?.[index] != null)];
        }),
      ),
    );
  }

  deviceByMac(mac: string): FarmAnswer<Device | undefined> {
    return this.#findBy('mac', mac, (device) => device.macs.includes(mac));
  }

  deviceByUuid(uuid: string): FarmAnswer<Device | undefined> {
    return this.#findBy('uuid', uuid, (device) => device.uuid === uuid);
  }

  sessionOf(device: string): FarmAnswer<Session | undefined> {
    return this.#find('session', device, parseSession);
  }

  async deviceCount(): FarmAnswer<number> {
    const read = await this.#ask((multi) => multi.hlen(kindKey('device')));
    return read.ok ? ok(Number(read.value.answers[0])) : read;
  }

  async checkedAt(): FarmAnswer<number> {
    const read = await this.#ask((multi) => multi.hget(META, 'checkedAt'));
    return read.ok ? ok(Number(read.value.answers[0]) || 0) : read; // what is no time was never confirmed
  }

  async identity(): FarmAnswer<Identity> {
    const read = await this.#ask((multi) => multi.hgetall(META));
    if (!read.ok) return read;
    const meta = parseMeta(read.value.answers[0] as Record<string, string>);
    return meta ? ok(meta) : fail('SchemaUnknown', `Redis follower ${this.#place} names no farm`);
  }

  onChange(callback: () => void): () => void {
    this.#listeners.add(callback);
    if (this.#listeners.size === 1) void this.#poll();
    return () => {
      this.#listeners.delete(callback);
      if (this.#listeners.size === 0) this.#stopPolling();
    };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#stopPolling();
    this.#redis.disconnect();
  }

  async #poll(): Promise<void> {
    const read = await this.#ask(() => {});
    if (this.#listeners.size === 0) return;
    const now = read.ok ? read.value.snapshot : read.error.code;
    const changed = this.#seen !== undefined && now !== this.#seen;
    this.#seen = now;
    if (changed) for (const listener of this.#listeners) listener();
    this.#timer = setTimeout(() => void this.#poll(), this.#pollMs).unref();
  }

  #stopPolling(): void {
    clearTimeout(this.#timer);
    this.#seen = undefined;
  }

  async #find<T>(kind: 'device' | 'session', key: string, parse: Parse<T>): FarmAnswer<T | undefined> {
    const read = await this.#ask((multi) => multi.hget(kindKey(kind), key));
    if (!read.ok) return read;
    const [text] = read.value.answers;
    return typeof text === 'string' ? parse(text) : ok(undefined);
  }

  /** Two questions; the device may have changed between them, so it must still be the one that was asked for. */
  async #findBy(kind: 'mac' | 'uuid', key: string, is: (device: Device) => boolean): FarmAnswer<Device | undefined> {
    const read = await this.#ask((multi) => multi.hget(kindKey(kind), key));
    if (!read.ok) return read;
    const [text] = read.value.answers;
    if (typeof text !== 'string') return ok(undefined);
    const name = parseName(text);
    if (!name.ok) return name;
    const found = await this.deviceByName(name.value);
    return found.ok && found.value && !is(found.value) ? ok(undefined) : found;
  }

  async #ask(fill: Fill): Promise<Read> {
    await this.#tried;
    return this.#together(fill);
  }

  /**
   * META and the questions in one MULTI, so an answer never comes from a replica that is not whole. Of a hundred questions at once one costs 17 µs of
   * the main thread, in a MULTI of its own 67 µs: most of that is the write to the socket.
   */
  async #askAll(fills: readonly Fill[]): Promise<readonly Read[]> {
    const place = `follower ${this.#place}`;
    const executed = await asked(place, async () => {
      const multi = this.#redis.multi().hmget(META, 'schema', 'snapshot');
      const before = multi.length;
      const ends = fills.map((fill) => {
        fill(multi);
        return 1 + multi.length - before;
      });
      return { ends, replies: (await multi.exec()) ?? [] };
    });
    if (!executed.ok) return fills.map(() => executed);
    const { ends, replies } = executed.value;
    const [meta] = replies;
    return ends.map((end, index) => readOf(place, meta, replies.slice(ends[index - 1] ?? 1, end)));
  }
}

type Fill = (multi: ChainableCommander) => void;
type Read = Result<{ readonly snapshot: string; readonly answers: readonly unknown[] }, RedisFault>;
type Reply = readonly [error: Error | null, answer: unknown];

/** What one question was answered, if META beside it says that it counts. */
function readOf(place: string, meta: Reply | undefined, replies: readonly Reply[]): Read {
  const failed = [meta, ...replies].find((reply) => reply?.[0])?.[0];
  if (failed) return { ok: false, error: redisFault(failed, place) };
  const [schema, snapshot] = (meta?.[1] ?? []) as readonly (string | null)[];
  if (!schema || !snapshot) return fail('NotLoaded', `Redis ${place} holds no farm yet`);
  if (Number(schema) !== SCHEMA)
    return fail('SchemaUnknown', `Redis ${place} holds schema ${schema}; this release reads ${SCHEMA}`);
  return ok({ snapshot, answers: replies.map(([, answer]) => answer) });
}
