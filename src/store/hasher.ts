/**
 * Hashes files on a thread, for all that streams is on the others. What is read is laid into memory that both have: one piece is hashed while the next is read.
 * The thread is begun when there is something to hash, and ended when there was nothing for a while. One that dies fails the passes that it had, no more.
 */
import { Worker } from 'node:worker_threads';
import { errorMessage } from '../kit/errors.ts';
import type { FileShape, Hashed } from './hashes.ts';

export type Order =
  | { readonly kind: 'begin'; readonly pass: number; readonly shape: FileShape; readonly memory: SharedArrayBuffer }
  | { readonly kind: 'add'; readonly pass: number; readonly at: number; readonly bytes: number }
  | { readonly kind: 'finish'; readonly pass: number }
  | { readonly kind: 'end'; readonly pass: number };

export type Answer =
  | { readonly kind: 'added'; readonly pass: number }
  | { readonly kind: 'hashed'; readonly pass: number; readonly hashed: Hashed };

/** One pass over a file. */
export interface Pass extends Disposable {
  /** Where the next bytes are laid, when what lay there is hashed. Rejects with `HasherLost`, as does `finish`. */
  room(): Promise<Uint8Array>;
  /** The first so many bytes of that room are the next of the file. */
  add(bytes: number): void;
  /** Once, when all of the file was added. */
  finish(): Promise<Hashed>;
}

/** A fault of ours, and none of the file. */
export class HasherLost extends Error {}

/** The build renames the file. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
const PIECE_BYTES = 1 << 20;
/** Its heap holds no file: pieces and manifests lie beside it. */
const HEAP_MIB = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 };
/** To begin one takes 58 ms of a processor, 2 of them the main thread's; to keep one, 6 MiB. */
const LINGER_MS = 10_000;

type Resolvers<T> = ReturnType<typeof Promise.withResolvers<T>>;

class ThreadPass implements Pass {
  readonly #say: (order: Order) => void;
  readonly #pass: number;
  readonly #pieces: readonly Uint8Array<SharedArrayBuffer>[];
  /** Of the pieces that are being hashed, the oldest first. */
  readonly #adding: Resolvers<void>[] = [];
  readonly #finishing = Promise.withResolvers<Hashed>();
  readonly #ended: () => void;
  #turn = 0;
  #lost: Error | undefined;

  constructor(pass: number, shape: FileShape, say: (order: Order) => void, ended: () => void) {
    const bytes = Math.min(PIECE_BYTES, shape.sizeBytes);
    const memory = new SharedArrayBuffer(2 * bytes);
    this.#pass = pass;
    this.#say = say;
    this.#ended = ended;
    this.#pieces = [0, bytes].map((at) => new Uint8Array(memory, at, bytes));
    // Who waits for it is told; nobody may.
    this.#finishing.promise.catch(() => undefined);
    say({ kind: 'begin', pass, shape, memory });
  }

  async room(): Promise<Uint8Array> {
    if (this.#adding.length === this.#pieces.length) await this.#adding[0]?.promise;
    if (this.#lost) throw this.#lost;
    return this.#piece;
  }

  add(bytes: number): void {
    const added = Promise.withResolvers<void>();
    added.promise.catch(() => undefined);
    this.#adding.push(added);
    this.#say({ kind: 'add', pass: this.#pass, at: this.#piece.byteOffset, bytes });
    this.#turn++;
  }

  get #piece(): Uint8Array {
    return this.#pieces[this.#turn % this.#pieces.length] ?? new Uint8Array();
  }

  finish(): Promise<Hashed> {
    this.#say({ kind: 'finish', pass: this.#pass });
    return this.#finishing.promise;
  }

  answered(answer: Answer): void {
    if (answer.kind === 'added') this.#adding.shift()?.resolve();
    else this.#finishing.resolve(received(answer.hashed));
  }

  lost(error: Error): void {
    this.#lost = error;
    for (const { reject } of [...this.#adding, this.#finishing]) reject(error);
  }

  /** Who still waits for something is told. */
  [Symbol.dispose](): void {
    this.lost(new Error('the pass was ended'));
    this.#say({ kind: 'end', pass: this.#pass });
    this.#ended();
  }
}

/** Between threads a Buffer becomes plain bytes. */
function received({ sha256, manifest }: Hashed): Hashed {
  if (!manifest) return { sha256 };
  const { buffer, byteOffset, byteLength } = manifest.encoded;
  return { sha256, manifest: { ...manifest, encoded: Buffer.from(buffer, byteOffset, byteLength) } };
}

/** Where threads are unwelcome, another takes its place. */
export type FileHasher = Pick<Hasher, 'begin' | 'close'>;

export class Hasher {
  readonly #worker: URL;
  readonly #lingerMs: number;
  readonly #passes = new Map<number, ThreadPass>();
  #thread: Worker | undefined;
  #begun = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor({ worker = WORKER, lingerMs = LINGER_MS } = {}) {
    this.#worker = worker;
    this.#lingerMs = lingerMs;
  }

  /** Is there a thread now? */
  get isAwake(): boolean {
    return this.#thread !== undefined;
  }

  begin(shape: FileShape): Pass {
    clearTimeout(this.#idle);
    this.#thread ??= this.#start();
    const thread = this.#thread;
    const number = this.#begun++;
    const say = (order: Order): void => thread.postMessage(order);
    const pass = new ThreadPass(number, shape, say, () => this.#ended(number));
    this.#passes.set(number, pass);
    return pass;
  }

  /** Passes that are under way are lost. Idempotent. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const thread = this.#thread;
    if (thread) this.#lose(thread, 'it was closed');
    await thread?.terminate();
  }

  #start(): Worker {
    const thread = new Worker(this.#worker, { resourceLimits: HEAP_MIB });
    thread.on('message', (answer: Answer) => this.#passes.get(answer.pass)?.answered(answer));
    for (const event of ['error', 'messageerror'])
      thread.once(event, (error) => this.#lose(thread, errorMessage(error)));
    thread.once('exit', (code) => this.#lose(thread, `exit code ${code}`));
    return thread;
  }

  #lose(thread: Worker, why: string): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    const error = new HasherLost(`the thread that hashes files ended (${why}): the file is read again`);
    for (const pass of this.#passes.values()) pass.lost(error);
    this.#passes.clear();
  }

  #ended(number: number): void {
    this.#passes.delete(number);
    if (this.#passes.size > 0) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.close(), this.#lingerMs).unref();
  }
}
