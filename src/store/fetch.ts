/**
 * A file from a web server: whole and right by its digest, or not there. What came before it broke off is gone on with, in the same run on the condition that the file
 * is the same one, and in a later one believed for the digest alone: where that is wrong, all of it is fetched once more.
 */
import { createHash, type Hash } from 'node:crypto';
import { unescape as percentDecoded } from 'node:querystring';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type Dispatcher, request } from 'undici';
import type { Work, WorkFault } from '../image/copy.ts';
import { PartialFile } from '../image/partial.ts';
import { type Backoff, backoffMs } from '../kit/backoff.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { shownUrl } from '../kit/url.ts';
import { type Arrived, looked, thereAlready } from './arrived.ts';
import { CANCELLED_COPY } from './carry.ts';
import { type AnswerFault, type Judged, judgeAnswer } from './fetch-answer.ts';
import { connectAway, IS_NEAR } from './fetch-away.ts';
import { tooLong } from './longest.ts';
import { lacksRoom } from './room.ts';

export interface Fetch extends Pick<Work, 'signal' | 'onProgress' | 'beforeName'> {
  /** http or https; a name and a password in it are for that server alone. */
  readonly url: string;
  /** 64 hex digits. */
  readonly sha256: string;
  /** Absent: what the server says. */
  readonly sizeBytes?: number;
  /** Of its first 512 bytes, or all where it has less, when they came: a fault is the end of it, and nothing of it stays. */
  readonly judgeHead?: (head: Buffer, sizeBytes: number) => HeadFault | undefined;
  /** A try ended, and another one comes: why. */
  readonly onAgain?: (fault: FetchFault) => void;
  readonly limits?: Partial<FetchLimits>;
}

export type HeadFault = Fault<'NotSupported' | 'FileCut'>;

const HEAD_BYTES = 512;

export interface FetchLimits {
  readonly connectMs: number;
  /** For the first byte of an answer, and between two bytes. */
  readonly silenceMs: number;
  /** Fewer bytes than `floorBytes` in `floorMs` are as none. */
  readonly floorBytes: number;
  readonly floorMs: number;
  readonly redirects: number;
  /** Tries in a row that bring nothing. */
  readonly tries: number;
  readonly backoff: Backoff;
}

const LIMITS: FetchLimits = {
  ...{ connectMs: 10_000, silenceMs: 30_000, floorBytes: 1 << 20, floorMs: 60_000 },
  ...{ redirects: 5, tries: 6, backoff: { baseMs: 1_000, maxMs: 30_000 } },
};

/**
 * - `Unreachable`, `BrokeOff`, `TooSlow`, `HttpBusy`: it was tried again, and no more; what came stays.
 * - `DigestWrong`: it is another file, and nothing of it stays.
 */
export type FetchFault =
  | WorkFault
  | AnswerFault
  | HeadFault
  | Fault<'UrlInvalid' | 'RedirectRefused' | 'Unreachable' | 'BrokeOff' | 'TooSlow' | 'DigestWrong' | 'Cancelled'>;

const AGAIN: ReadonlySet<string> = new Set<FetchFault['code']>(['Unreachable', 'BrokeOff', 'TooSlow', 'HttpBusy']);

/** Of the file itself. */
const FOR_EVER: ReadonlySet<string> = new Set<HeadFault['code']>(['NotSupported', 'FileCut']);

type Fetched = Result<Arrived, FetchFault>;

/** `path`: the name that it gets. */
export async function fetchFile(path: string, fetch: Fetch): Promise<Fetched> {
  const limits = { ...LIMITS, ...fetch.limits };
  const url = urlOf(fetch.url);
  if (!url.ok) return url;
  const long = tooLong(path);
  if (long) return { ok: false, error: long };
  const there = await thereAlready(path, fetch);
  if (there) return ok(await looked(there));
  const begun = await begin(path);
  if (!begun.ok) return begun;
  const taken = begun.value;
  const options = { headersTimeout: 0, bodyTimeout: 0, allowH2: false, connections: 1 };
  const typed = new Agent({ ...options, connect: { timeout: limits.connectMs } });
  const away = new Agent({ ...options, connect: connectAway(limits.connectMs) });
  try {
    return await inTries({ ...fetch, path, from: url.value, limits, typed, away }, taken);
  } finally {
    await Promise.all([typed.destroy(), away.destroy()]);
    await taken.file.leave();
  }
}

interface Fetching extends Fetch {
  readonly path: string;
  readonly from: URL;
  readonly limits: FetchLimits;
  /** To the server of the address. */
  readonly typed: Dispatcher;
  /** To one that it leads to. */
  readonly away: Dispatcher;
}

/** What came so far. */
interface Taken {
  file: PartialFile;
  hash: Hash;
  head: Buffer;
  at: number;
  /** Nothing says that all of it is of one file: some came in an earlier run, or without a condition. */
  isMixed: boolean;
  /** The server answers to ranges. */
  hasRanges: boolean;
  sizeBytes: number | undefined;
  validator: string | undefined;
}

/** With what an earlier run left. */
async function begin(path: string): Promise<Result<Taken, FetchFault>> {
  const opened = await PartialFile.open(path);
  if (!opened.ok) return opened;
  const file = opened.value;
  const at = file.thereBytes;
  const nothing = { at: 0, hash: createHash('sha256'), head: Buffer.alloc(0), isMixed: at > 0, hasRanges: true };
  const taken: Taken = { ...nothing, file, sizeBytes: undefined, validator: undefined };
  const fault = await file.believe(at, (bytes) => add(taken, bytes));
  if (!fault) return ok(taken);
  await file.leave();
  return { ok: false, error: fault };
}

function add(taken: Taken, bytes: Buffer): void {
  taken.hash.update(bytes);
  taken.at += bytes.length;
  const lacks = HEAD_BYTES - taken.head.length;
  if (lacks > 0) taken.head = Buffer.concat([taken.head, bytes.subarray(0, lacks)]);
}

/** From the first byte on: what is there is compared with what comes. */
async function restart(path: string, taken: Taken): Promise<FetchFault | undefined> {
  await taken.file.leave();
  const opened = await PartialFile.open(path);
  if (!opened.ok) return opened.error;
  const hash = createHash('sha256');
  const nothing = { at: 0, hash, head: Buffer.alloc(0), isMixed: false, sizeBytes: undefined, validator: undefined };
  Object.assign(taken, { ...nothing, file: opened.value });
  return undefined;
}

async function inTries(fetching: Fetching, taken: Taken): Promise<Fetched> {
  const { path, limits, signal, sha256 } = fetching;
  let furthest = taken.at;
  /** Of the try before. */
  let last: FetchFault | undefined;
  for (let tries = 1; ; ) {
    const fault = await attempt(fetching, taken);
    if (signal?.aborted) return { ok: false, error: cancelled(taken, last) };
    // What is fetched again is no way forward: a server that cuts each answer is asked so often, and no more.
    const isFurther = taken.at >= furthest + limits.floorBytes;
    if (isFurther) furthest = taken.at;
    tries = isFurther ? 1 : tries + 1;
    if (!fault) {
      const found = taken.hash.copy().digest('hex');
      if (found === sha256) return finish(fetching, taken);
      if (!taken.isMixed || tries > limits.tries) return wrong(fetching, taken, found);
      const again = await restart(path, taken);
      if (again) return { ok: false, error: again };
      continue;
    }
    if (FOR_EVER.has(fault.code)) await taken.file.remove();
    if (!AGAIN.has(fault.code) || tries > limits.tries) return { ok: false, error: fault };
    last = fault;
    fetching.onAgain?.(fault);
    await delay(backoffMs(limits.backoff, Math.max(0, tries - 2)), undefined, signal && { signal }).catch(
      () => undefined,
    );
  }
}

/** `why`: a try before came to nothing. */
function cancelled({ at }: Taken, why: FetchFault | undefined): FetchFault {
  const message = at > 0 ? CANCELLED_COPY.message : 'it was cancelled, and nothing had come';
  return { ...CANCELLED_COPY, message: why ? `${message}; the last try: ${why.message}` : message };
}

async function finish({ path, beforeName }: Fetching, { file, at }: Taken): Promise<Fetched> {
  const fault = (await beforeName?.()) ?? (await file.finish(at));
  // Its name is another file's by now: nobody asks for this one again.
  if (fault?.code === 'FileExists') await file.remove();
  return fault ? { ok: false, error: fault } : ok(await looked({ path, sizeBytes: at }));
}

async function wrong({ from, sha256 }: Fetching, { file }: Taken, found: string): Promise<Fetched> {
  await file.remove();
  return fail(
    'DigestWrong',
    `${shown(from)}: what came has the SHA-256 ${found}, not ${sha256}: nothing of it is kept`,
  );
}

/** Undefined: all of it came. */
async function attempt(fetching: Fetching, taken: Taken): Promise<FetchFault | undefined> {
  const { path, from, sizeBytes: said } = fetching;
  const known = taken.sizeBytes ?? said;
  if (taken.at > 0 && taken.at === known) return undefined;
  const isOfNoUse = !taken.hasRanges || (known !== undefined && taken.at > known);
  const before = taken.at > 0 && isOfNoUse ? await restart(path, taken) : undefined;
  if (before) return before;
  const silence = silenceOf(fetching);
  const asked = await silence.heard(() => ask(fetching, taken, silence.signal));
  if (!asked.ok) return asked.error;
  const { judged, body } = asked.value;
  try {
    if (judged.kind === 'whole') return undefined;
    if (judged.kind === 'anew') {
      taken.hasRanges = false;
      return { code: 'BrokeOff', message: `${shown(from)}: ${judged.why}: it is fetched from its first byte` };
    }
    const fault = judged.from < taken.at ? await restart(path, taken) : undefined;
    if (fault) return fault;
    if (taken.at > 0 && taken.validator === undefined) taken.isMixed = true;
    Object.assign(taken, { sizeBytes: judged.sizeBytes, validator: judged.validator });
    const comes = judged.sizeBytes - Math.max(taken.at, taken.file.thereBytes);
    return (
      headFault(fetching, taken, judged.sizeBytes) ??
      (await lacksRoom(path, comes)) ??
      (await take(fetching, taken, judged.sizeBytes, body, silence))
    );
  } finally {
    body.on('error', () => undefined).destroy();
  }
}

interface Silence {
  readonly signal: AbortSignal;
  /** What is waited for ends when it lasts for too long. */
  heard<T>(what: () => Promise<T>): Promise<T>;
}

/** Of the server alone: while the disk is waited for, nothing is. undici's own clock is a second slow. */
function silenceOf({ limits: { silenceMs }, signal }: Fetching): Silence {
  const silent = new AbortController();
  return {
    signal: signal ? AbortSignal.any([signal, silent.signal]) : silent.signal,
    async heard(what) {
      const timer = setTimeout(() => silent.abort(new Error(`nothing came for ${silenceMs} ms`)), silenceMs);
      try {
        return await what();
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

type Body = Dispatcher.ResponseData['body'];

const headFault = ({ judgeHead }: Fetching, { head, at }: Taken, sizeBytes: number): FetchFault | undefined =>
  at >= Math.min(HEAD_BYTES, sizeBytes) ? judgeHead?.(head, sizeBytes) : undefined;

async function take(
  fetching: Fetching,
  taken: Taken,
  sizeBytes: number,
  body: Body,
  silence: Silence,
): Promise<FetchFault | undefined> {
  const { from, limits, onProgress } = fetching;
  const where = shown(from);
  let [since, at] = [performance.now(), taken.at];
  try {
    const chunks = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    for (;;) {
      const { done, value: chunk } = await silence.heard(() => chunks.next());
      if (done) break;
      if (taken.at + chunk.length > sizeBytes)
        return { code: 'SizeWrong', message: `${where} sends more than the ${sizeBytes} bytes that its file has` };
      const isHead = taken.at < HEAD_BYTES;
      const fault = await taken.file.append(taken.at, chunk);
      if (fault) return fault;
      add(taken, chunk);
      const refused = isHead ? headFault(fetching, taken, sizeBytes) : undefined;
      if (refused) return refused;
      onProgress?.(taken.at, sizeBytes);
      const now = performance.now();
      if (now - since < limits.floorMs) continue;
      const came = taken.at - at;
      if (came < limits.floorBytes && taken.at < sizeBytes)
        return {
          code: 'TooSlow',
          message: `${where} sends ${came} bytes in ${Math.round(now - since)} ms: try it later, or elsewhere`,
        };
      [since, at] = [now, taken.at];
    }
  } catch (thrown) {
    return {
      code: 'BrokeOff',
      message: `${where} broke off at byte ${taken.at} of ${sizeBytes}: ${errorMessage(thrown) || errorCode(thrown)}`,
    };
  }
  if (taken.at === sizeBytes) return undefined;
  return { code: 'BrokeOff', message: `${where} ended at byte ${taken.at} of ${sizeBytes}` };
}

interface Asked {
  readonly judged: Exclude<Judged, { readonly kind: 'elsewhere' }>;
  readonly body: Body;
}

/** Where it leads on is followed: never from https to http, and to nothing else. */
async function ask(
  fetching: Fetching,
  { at, sizeBytes, validator }: Taken,
  signal: AbortSignal,
): Promise<Result<Asked, FetchFault>> {
  const { from, sizeBytes: said, limits } = fetching;
  const condition = validator === undefined ? {} : { 'if-range': validator };
  const headers = { 'accept-encoding': 'identity', ...(at > 0 ? { range: `bytes=${at}-`, ...condition } : {}) };
  const asked = {
    at,
    ...(said !== undefined && { sizeBytes: said }),
    ...(sizeBytes !== undefined && { knownBytes: sizeBytes }),
    ...(validator !== undefined && { validator }),
  };
  let to = from;
  for (let redirects = 0; redirects <= limits.redirects; redirects++) {
    const answer = await get(to, headers, fetching, signal);
    if (!answer.ok) return answer;
    const { statusCode: status, headers: said, body } = answer.value;
    const judged = judgeAnswer({ status, headers: said }, asked);
    if (judged.ok && judged.value.kind !== 'elsewhere') return ok({ judged: judged.value, body });
    body.on('error', () => undefined).destroy();
    if (!judged.ok) return fail(judged.error.code, `${shown(to)}: ${judged.error.message}`);
    const next = judged.value.kind === 'elsewhere' ? urlOf(judged.value.url, to) : urlOf('');
    if (!next.ok || (to.protocol === 'https:' && next.value.protocol !== 'https:'))
      return fail(
        'RedirectRefused',
        `${shown(to)} leads to what is less safe, or no web server: give the address of the file itself`,
      );
    to = next.value;
  }
  return fail(
    'RedirectRefused',
    `${shown(from)} leads on more than ${limits.redirects} times: give the address of the file itself`,
  );
}

async function get(
  url: URL,
  headers: Record<string, string>,
  { from, typed, away }: Fetching,
  signal: AbortSignal,
): Promise<Result<Dispatcher.ResponseData, FetchFault>> {
  const dispatcher = url.hostname === from.hostname ? typed : away;
  const own = url.origin === from.origin ? loginOf(from) : {};
  try {
    return ok(await request(url, { method: 'GET', headers: { ...headers, ...own }, dispatcher, signal }));
  } catch (thrown) {
    if (errorCode(thrown) === IS_NEAR)
      return fail(
        'RedirectRefused',
        `${shown(from)} leads to ${shown(url)}, which is this server itself or what its node alone reaches: give the address of the file itself`,
      );
    return fail('Unreachable', `${shown(url)} does not answer: ${errorMessage(thrown) || errorCode(thrown)}`);
  }
}

/** RFC 7617. */
function loginOf({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const login = `${percentDecoded(username)}:${percentDecoded(password)}`;
  return { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
}

const shown = ({ href }: URL): string => shownUrl(href);

function urlOf(text: string, base?: URL): Result<URL, FetchFault> {
  const url = URL.parse(text, base?.href);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return ok(url);
  return fail('UrlInvalid', `${JSON.stringify(shownUrl(text).slice(0, 200))} is no address of http or https`);
}
