/** Gives manifests and chunks of what is held to whoever the port lets in. Streaming comes first: answers are bounded in number, in bytes a second and in time. */
import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import { Gates } from '../net/gate.ts';
import { type Held, type Holdings, hasChunk } from './holdings.ts';
import { lengthOf, type ManifestFacts } from './manifest.ts';
import { Pace } from './pace.ts';
import { ALL, FILES, type FileFacts, PROPERTIES, parseRuns, type Run } from './wire.ts';

export interface GiveLimits {
  /** Answers with chunks or a manifest at once, of all and of one address. What is beyond is told to come again. */
  readonly answers: number;
  readonly perCaller: number;
  /** `replication.bandwidth`; undefined: no limit. */
  readonly bytesPerSecond?: number | undefined;
  /** A reader that takes nothing for so long is left. */
  readonly stillMs: number;
}

const GIVE_LIMITS: GiveLimits = { answers: 48, perCaller: 4, stillMs: 10_000 };

/** Read and written at once: 32 records of TLS, a fraction of a millisecond of the thread. */
const PIECE_BYTES = 512 << 10;
/** Of Node's threads, which all stores and protocols share, a folder that hangs holds no more. */
const READS_AT_ONCE = 4;
/** What answers read into; as many as there were answers at once. */
const pool: Buffer[] = [];

/** What of fastify is used, whatever its server is. */
interface App {
  get(path: string, handler: RouteHandlerMethod): unknown;
}

type FileRequest = FastifyRequest<{ Params: { sha256: string; runs: string } }>;

/** `limits` are asked for at each answer, so that they may change; what they do not say is as always. */
export function addTransferRoutes(
  app: App,
  holdings: Holdings,
  limits: () => Partial<GiveLimits> = () => GIVE_LIMITS,
): void {
  const giving = new Giving(() => ({ ...GIVE_LIMITS, ...limits() }));
  const held =
    (handler: (held: Held, request: FileRequest, reply: FastifyReply) => unknown): RouteHandlerMethod =>
    async (request, reply) => {
      const { sha256 } = (request as FileRequest).params;
      const found = await holdings.of(sha256);
      return found ? handler(found, request as FileRequest, reply) : refuse(reply);
    };
  app.get(PROPERTIES, async () => holdings.properties?.() ?? []);
  app.get(
    `${FILES}/:sha256`,
    held(
      ({ manifest, has }): FileFacts => ({
        root: manifest.root,
        has: has === 'all' ? ALL : Buffer.from(has).toString('base64'),
      }),
    ),
  );
  app.get(
    `${FILES}/:sha256/manifest`,
    held((file, { ip }, reply) =>
      giving.answer(ip, reply, async () => {
        const encoded = await file.encoded();
        return encoded && { length: encoded.length, pieces: piecesOf(encoded) };
      }),
    ),
  );
  app.get(
    `${FILES}/:sha256/chunks/:runs`,
    held((file, request, reply) => {
      const runs = parseRuns(request.params.runs, file.manifest);
      if (!runs.ok) return reply.code(400).send(runs.error);
      if (!hasAll(file, runs.value))
        return reply.code(404).send({ code: 'ChunkMissing', message: 'not all of these chunks are here yet' });
      const { ip } = request;
      const gate = gates.of(file.path);
      const turn: Turn = (work) =>
        gate.run(ip, () => (reply.raw.destroyed ? Promise.reject(new Error('the reader left')) : work()));
      return giving.answer(ip, reply, () => chunksBody(file, runs.value, turn));
    }),
  );
}

const refuse = (reply: FastifyReply): FastifyReply =>
  reply.code(404).send({ code: 'FileUnknown', message: 'no verified file with this SHA-256 is here' });

const hasAll = ({ has }: Held, runs: readonly Run[]): boolean =>
  has === 'all' || runs.every(({ from, to }) => isSet(has, from, to));

function isSet(bits: Uint8Array, from: number, to: number): boolean {
  for (let chunk = from; chunk <= to; chunk++) if (!hasChunk(bits, chunk)) return false;
  return true;
}

const gates = new Gates(READS_AT_ONCE);

interface Body {
  readonly length: number;
  /** One is not needed any more when the next is asked for. */
  readonly pieces: AsyncIterable<Buffer> | Iterable<Buffer>;
}

/** Answers under way: so many, so fast. */
class Giving {
  readonly #limits: () => GiveLimits;
  readonly #pace = new Pace(undefined);
  readonly #own = new Map<string, number>();
  #total = 0;

  constructor(limits: () => GiveLimits) {
    this.#limits = limits;
  }

  /** Of nothing: 404. */
  async answer(ip: string, reply: FastifyReply, make: () => Promise<Body | undefined>): Promise<FastifyReply> {
    const { answers, perCaller, bytesPerSecond, stillMs } = this.#limits();
    if (this.#total >= answers || (this.#own.get(ip) ?? 0) >= perCaller)
      return reply
        .code(503)
        .header('retry-after', '1')
        .send({ code: 'Busy', message: 'as much as may be is being given: ask again' });
    this.#pace.set(bytesPerSecond);
    this.#count(ip, 1);
    // A disk may hang for longer than its reader waits.
    const left = new Promise<void>((resolve) => reply.raw.once('close', resolve));
    await Promise.race([this.#give(reply, make, stillMs), left]);
    this.#count(ip, -1);
    return reply;
  }

  async #give(reply: FastifyReply, make: () => Promise<Body | undefined>, stillMs: number): Promise<void> {
    const { raw } = reply;
    try {
      const body = await make();
      if (!body) {
        await refuse(reply);
        return;
      }
      reply.hijack();
      raw.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length });
      let left = body.length;
      for await (const bytes of body.pieces) {
        left -= bytes.length;
        await this.#pace.take(bytes.length);
        await send(raw, bytes, left === 0, stillMs);
      }
      if (body.length === 0) raw.end();
    } catch {
      raw.destroy(); // a cut file, a disk that fails, a reader that left: who asked asks elsewhere
    }
  }

  #count(ip: string, one: 1 | -1): void {
    this.#total += one;
    const own = (this.#own.get(ip) ?? 0) + one;
    if (own > 0) this.#own.set(ip, own);
    else this.#own.delete(ip);
  }
}

function* piecesOf(encoded: Buffer): Iterable<Buffer> {
  for (let at = 0; at < encoded.length; at += PIECE_BYTES) yield encoded.subarray(at, at + PIECE_BYTES);
}

/** When the disk has room for it; rejects when the reader left. */
type Turn = <T>(work: () => Promise<T>) => Promise<T>;

async function chunksBody(held: Held, runs: readonly Run[], turn: Turn): Promise<Body | undefined> {
  const opened = await turn(() => held.open());
  if (!opened.ok) return undefined;
  const ranges = runs.map((run) => rangeOf(held.manifest, run));
  const length = ranges.reduce((sum, range) => sum + range.length, 0);
  return { length, pieces: read(opened.value, ranges, turn) };
}

async function* read(opened: FileHandle, ranges: readonly Range[], turn: Turn): AsyncIterable<Buffer> {
  await using file = opened;
  // A Buffer for each piece would have V8 collect garbage for a quarter of the time.
  let memory: Buffer | undefined;
  for (const { offset, length } of ranges)
    for (let at = 0; at < length; at += PIECE_BYTES)
      yield await turn(async () => {
        memory ??= pool.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
        const bytes = memory.subarray(0, Math.min(PIECE_BYTES, length - at));
        await readAt(file, bytes, offset + at);
        return bytes;
      });
  if (memory) pool.push(memory);
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

const rangeOf = (manifest: ManifestFacts, { from, to }: Run): Range => {
  const offset = from * manifest.chunkBytes;
  return { offset, length: (to - from) * manifest.chunkBytes + lengthOf(manifest, to) };
};

async function readAt(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new Error('the file ends');
    done += bytesRead;
  }
}

/** The bytes are not needed any more when it ends. With the last ones the answer ends, too: who has them may ask again at once. */
async function send(raw: ServerResponse, bytes: Buffer, isLast: boolean, stillMs: number): Promise<void> {
  if (raw.destroyed) throw new Error('the reader left');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const left = () => reject(new Error('the reader left, or takes nothing'));
  const timer = setTimeout(left, stillMs);
  raw.once('close', left);
  if (isLast) raw.end(bytes, resolve);
  else raw.write(bytes, (error) => (error ? left() : resolve()));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    raw.off('close', left);
  }
}
