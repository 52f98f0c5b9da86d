/** The threads of one transfer: each order to one that is free. They hold what is to be proved, so only numbers of chunks go between. */
import { once } from 'node:events';
import { getSystemErrorName } from 'node:util';
import { Worker } from 'node:worker_threads';
import { MAX_SLOT_BYTES, type Manifest } from './manifest.ts';
import { aligned, PAGE_BYTES } from './native.ts';
import type { Answer, Order, WorkerOptions } from './orders.ts';

/** `threadId` of one that is gone. */
const ENDED = -1;
/** The build renames the file. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/** Of which the kernel said why: `code` is that of errno. */
class DiskError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export class Hands {
  /** Where what comes is laid; a slot is `MAX_SLOT_BYTES` long. */
  readonly memory: Uint8Array;
  readonly #options: WorkerOptions;
  readonly #threads: number;
  readonly #workers: Worker[] = [];
  readonly #free: Worker[] = [];
  readonly #waiting: ((worker: Worker) => void)[] = [];
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #pulse = new Int32Array(new SharedArrayBuffer(4));

  constructor(
    manifest: Manifest,
    target: WorkerOptions['target'],
    { threads, slots, nice }: { threads: number; slots: number; nice: number },
  ) {
    const { sizeBytes, chunkBytes, digests, zeros } = manifest;
    const memory = new SharedArrayBuffer(slots * MAX_SLOT_BYTES + PAGE_BYTES);
    this.memory = aligned(new Uint8Array(memory));
    const shape = { sizeBytes, chunkBytes };
    const rest = { slots: memory, nice, stop: this.#stop, pulse: this.#pulse };
    this.#options = { shape, digests, zeros, target, ...rest };
    this.#threads = threads;
  }

  /** Another one after each answer of the disk. */
  get pulse(): number {
    return Atomics.load(this.#pulse, 0);
  }

  /** Chunks that are right. Rejects with a `DiskError`. */
  async chunks(order: Extract<Order, { kind: 'copy' | 'keep' | 'prove' }>): Promise<readonly number[]> {
    const answer = await this.#give(order);
    return answer.kind === 'right' ? answer.chunks : [];
  }

  /** Room for all of it. Rejects with a `DiskError`. */
  async reserve(): Promise<void> {
    const answer = await this.#give({ kind: 'reserve' });
    if (answer.kind === 'errno' && answer.errno !== 0)
      throw new DiskError(getSystemErrorName(-answer.errno), 'its room cannot be reserved');
  }

  async digest(): Promise<string> {
    const answer = await this.#give({ kind: 'digest' });
    return answer.kind === 'digest' ? answer.sha256 : '';
  }

  /** What is being done ends soon, with less than was asked for. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
  }

  /**
   * No descriptor that they were given is used after it. Idempotent. They end by themselves: one that is terminated while it loads a library takes the process along
   * (`Error::ThrowAsJavaScriptException napi_throw`; koffi 3.3.4, Node 24).
   */
  async close(): Promise<void> {
    this.stop();
    await Promise.all(
      this.#workers.splice(0).map(async (worker) => {
        if (worker.threadId === ENDED) return;
        const ended = once(worker, 'exit');
        worker.postMessage({ kind: 'end' } satisfies Order);
        await ended;
      }),
    );
  }

  /** A small file needs one. Undefined: all that there may be work. */
  #begin(): Worker | undefined {
    if (this.#workers.length === this.#threads) return undefined;
    const worker = new Worker(WORKER, { workerData: this.#options });
    worker.setMaxListeners(0);
    this.#workers.push(worker);
    return worker;
  }

  #next(): Promise<Worker> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #give(order: Order): Promise<Answer> {
    const worker = this.#free.pop() ?? this.#begin() ?? (await this.#next());
    try {
      const answered = once(worker, 'message');
      worker.postMessage(order);
      const [answer]: Answer[] = await answered;
      if (!answer) throw new Error('a thread of a transfer said nothing');
      if (answer.kind === 'threw') throw new DiskError(answer.code, answer.message);
      return answer;
    } finally {
      const next = this.#waiting.shift();
      if (next) next(worker);
      else this.#free.push(worker);
    }
  }
}
