/** Connections to Redis, and what goes wrong with them as named faults. */
import { type ChainableCommander, Redis } from 'ioredis';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { READER_USER } from './config.ts';
import { kindKey, META, type Meta, parseMeta } from './layout.ts';

export type RedisFault = Fault<
  'NotLoaded' | 'SchemaUnknown' | 'Unreachable' | 'AuthenticationFailed' | 'TimedOut' | 'Refused'
>;
export type RedisAnswer<T> = Promise<Result<T, RedisFault>>;

const COMMAND_TIMEOUT_MS = 2_000;

/** Begins of error replies; the rest is `Refused`. */
const REPLIES: readonly (readonly [begin: RegExp, code: RedisFault['code']])[] = [
  [/^(LOADING|MASTERDOWN|BUSY)/, 'NotLoaded'],
  [/^(NOAUTH|WRONGPASS|NOPERM|ERR AUTH|ERR invalid password)/, 'AuthenticationFailed'],
  [/^WRONGTYPE/, 'SchemaUnknown'],
];

/** By shape: errors of Node's own are of another realm where tests run in a context. */
export function redisFault(thrown: unknown, place: string): RedisFault {
  const { name, message } = thrown as { readonly name?: string; readonly message?: string };
  if (message === undefined) throw thrown;
  const say = (code: RedisFault['code']): RedisFault => ({ code, message: `Redis ${place}: ${message}` });
  if (name === 'ReplyError') return say(REPLIES.find(([begin]) => begin.test(message))?.[1] ?? 'Refused');
  if (/timed out|ETIMEDOUT/.test(message)) return say('TimedOut');
  if (name === 'TypeError' || name === 'RangeError' || name === 'SyntaxError') throw thrown;
  return say('Unreachable');
}

/** Runs `work`; what Redis or its connection throws comes back as a fault. */
export async function asked<T>(place: string, work: () => Promise<T>): RedisAnswer<T> {
  try {
    return ok(await work());
  } catch (thrown) {
    return { ok: false, error: redisFault(thrown, place) };
  }
}

/** Where a primary is, and whom to believe that it is the one: the certificate must bear the host of the url. */
export interface RedisAccess {
  /** `redis://user:password@host:port` or the path of a socket; never logged. */
  readonly url: string;
  /** PEM. Absent: no TLS. */
  readonly ca?: string;
}

/** Host and port, or socket path, without the secret. */
export const placeOfRedis = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);

/** At a follower's socket: who reaches it may read, whatever the password. */
export const READER = { username: READER_USER, password: READER_USER } as const;

/**
 * One connection that is never made again behind our back: WATCH holds for this connection only, so after a loss nothing of the old
 * state may be taken for granted. The caller connects anew.
 */
export async function openOnce({ url, ca }: RedisAccess): RedisAnswer<Redis> {
  const redis = new Redis(url, {
    ...(ca === undefined ? {} : { tls: { ca } }),
    ...(URL.canParse(url) ? {} : READER),
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    connectTimeout: COMMAND_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
  });
  let cause: unknown;
  redis.on('error', (thrown) => {
    cause ??= thrown; // the command that uses it says only that it is closed
  });
  const opened = await asked(placeOfRedis(url), async () => {
    await redis.connect().catch((thrown) => Promise.reject(cause ?? thrown));
    await redis.ping();
    return redis;
  });
  if (!opened.ok) redis.disconnect();
  return opened;
}

/** META with the number of devices beside it, by a connection of its own; undefined: this Redis holds no farm. */
export async function readMeta(access: RedisAccess): RedisAnswer<Meta | undefined> {
  const opened = await openOnce(access);
  if (!opened.ok) return opened;
  const meta = await asked(placeOfRedis(access.url), () => metaOf(opened.value));
  opened.value.disconnect();
  return meta;
}

export async function metaOf(redis: Redis): Promise<Meta | undefined> {
  const meta = parseMeta(await redis.hgetall(META));
  const none = (thrown: unknown): number => {
    if (redisFault(thrown, '').code === 'SchemaUnknown') return 0; // something else lies there: no devices
    throw thrown;
  };
  return meta && { ...meta, devices: await redis.hlen(kindKey('device')).catch(none) };
}

/** `Unexpected`: META was not as expected, or changed meanwhile (then without `meta`); nothing was done. */
export type Fenced = { readonly kind: 'Done' } | { readonly kind: 'Unexpected'; readonly meta: Meta | undefined };

/** Executes commands in one MULTI if META is what `expected` accepts, and still is when it comes to that. */
export async function fenced(
  redis: Redis,
  expected: (meta: Meta | undefined) => boolean,
  fill: (multi: ChainableCommander) => void,
): Promise<Fenced> {
  await redis.watch(META);
  const meta = parseMeta(await redis.hgetall(META));
  if (!expected(meta)) {
    await redis.unwatch();
    return { kind: 'Unexpected', meta };
  }
  const multi = redis.multi();
  fill(multi);
  const results = await multi.exec();
  if (results === null) return { kind: 'Unexpected', meta: undefined };
  const failed = results.find(([error]) => error);
  if (failed) throw failed[0];
  return { kind: 'Done' };
}
