/** Gives manifests and chunks of what is held to whoever the port lets in. Streaming comes first: answers are bounded in number, in bytes a second and in time. */
import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import { bitmapOf, type Held, type Holdings, openHeld } from './holdings.ts';
import { lengthOf, type Manifest } from './manifest.ts';
import { Pace } from './pace.ts';
import { ALL, FILES, type FileFacts, parseRuns, type Run } from './wire.ts';

export interface GiveLimits {
  /** Answers with chunks at once, of all and of one address. What is beyond is told to come again. */
  readonly answers: number;
  readonly perCaller: number;
  /** `replication.bandwidth`; undefined: no limit. */
  readonly bytesPerSecond?: number;
  /** A reader that takes nothing for so long is left. */
  readonly stillMs: number;
}

const GIVE_LIMITS: GiveLimits = { answers: 48, perCaller: 4, stillMs: 10_000 };

/** Read and written at once: 32 records of TLS, a fraction of a millisecond of the thread. */
const PIECE_BYTES = 512 << 10;
/** What answers read into; as many as there were answers at once. */
const pool: Buffer[] = [];

/** What of fastify is used, whatever its server is. */
interface App {
  get(path: string, handler: RouteHandlerMethod): unknown;
}

type FileRequest = FastifyRequest<{ Params: { sha256: string; runs: string } }>;

export function addTransferRoutes(app: App, holdings: Holdings, limits = GIVE_LIMITS): void {
  const pace = new Pace(limits.bytesPerSecond);
  const answering = new Map<string, number>();
  let total = 0;
  const held =
    (handler: (held: Held, request: FileRequest, reply: FastifyReply) => unknown): RouteHandlerMethod =>
    async (request, reply) => {
      const { sha256 } = (request as FileRequest).params;
      const found = holdings.of(sha256);
      if (found) return handler(found, request as FileRequest, reply);
      return reply
        .code(404)
        .send({ code: 'FileUnknown', message: `no verified file with the SHA-256 ${sha256.slice(0, 64)} is here` });
    };
  app.get(
    `${FILES}/:sha256`,
    held(
      ({ manifest, has }): FileFacts => ({
        root: manifest.root,
        has: has === 'all' ? ALL : bitmapOf(has).toString('base64'),
      }),
    ),
  );
  app.get(
    `${FILES}/:sha256/manifest`,
    held(({ manifest }, _, reply) => reply.type('application/octet-stream').send(manifest.encoded)),
  );
  app.get(
    `${FILES}/:sha256/chunks/:runs`,
    held(async (file, request, reply) => {
      const runs = parseRuns(request.params.runs, file.manifest);
      if (!runs.ok) return reply.code(400).send(runs.error);
      if (!hasAll(file, runs.value))
        return reply.code(404).send({ code: 'ChunkMissing', message: 'not all of these chunks are here yet' });
      const caller = request.ip;
      const own = answering.get(caller) ?? 0;
      if (total >= limits.answers || own >= limits.perCaller)
        return reply
          .code(503)
          .header('retry-after', '1')
          .send({ code: 'Busy', message: 'as many chunks as may be are being given: ask again' });
      total++;
      answering.set(caller, own + 1);
      try {
        await give(file, runs.value, reply, pace, limits.stillMs);
      } finally {
        total--;
        const left = (answering.get(caller) ?? 1) - 1;
        if (left > 0) answering.set(caller, left);
        else answering.delete(caller);
      }
      return reply;
    }),
  );
}

const hasAll = ({ has }: Held, runs: readonly Run[]): boolean =>
  has === 'all' || runs.every(({ from, to }) => has.subarray(from, to + 1).every((is) => is === 1));

async function give(held: Held, runs: readonly Run[], reply: FastifyReply, pace: Pace, stillMs: number): Promise<void> {
  const opened = await openHeld(held);
  if (!opened.ok) {
    await reply.code(404).send({ code: 'FileUnknown', message: opened.error.message });
    return;
  }
  await using file = opened.value;
  const ranges = runs.map((run) => rangeOf(held.manifest, run));
  // A Buffer for each piece would have V8 collect garbage for a quarter of the time.
  const memory = pool.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': ranges.reduce((sum, { length }) => sum + length, 0),
  });
  try {
    for (const { offset, length } of ranges)
      for (let at = 0; at < length; at += PIECE_BYTES) {
        const bytes = memory.subarray(0, Math.min(PIECE_BYTES, length - at));
        await readAt(file, bytes, offset + at);
        await pace.take(bytes.length);
        await send(raw, bytes, stillMs);
      }
    raw.end();
    pool.push(memory);
  } catch {
    raw.destroy(); // a cut file, a disk that fails, a reader that left: who asked asks elsewhere
  }
}

const rangeOf = (manifest: Manifest, { from, to }: Run): { readonly offset: number; readonly length: number } => {
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

/** The bytes are not needed any more when it ends. */
async function send(raw: ServerResponse, bytes: Buffer, stillMs: number): Promise<void> {
  if (raw.destroyed) throw new Error('the reader left');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const left = () => reject(new Error('the reader left, or takes nothing'));
  const timer = setTimeout(left, stillMs);
  raw.once('close', left);
  raw.write(bytes, (error) => (error ? left() : resolve()));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    raw.off('close', left);
  }
}
