/** Fills the target by one manifest: what is there is proved, what other files here have is copied, the rest is asked of peers as the plan says. The edge: it decides nothing. */
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { CANCELLED } from '../image/copy.ts';
import { openRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Wanted } from './agree.ts';
import { Hands } from './hands.ts';
import type { Offers } from './holdings.ts';
import { type Claim, claimsOf } from './local.ts';
import { lengthOf, MAX_SLOT_BYTES, type Manifest } from './manifest.ts';
import { Pace } from './pace.ts';
import type { Peer, PeerFault } from './peer.ts';
import { type Failure, LIMITS, type Limits, Plan, type Request } from './plan.ts';
import type { Target } from './target.ts';

/** A file of this server that may have much of what is wanted. */
export interface Base {
  readonly path: string;
  /** Absent: each of its chunks is worth a look. */
  readonly manifest?: Manifest;
}

export interface FillOptions {
  readonly peers: readonly Peer[];
  /** The likeliest first. */
  readonly bases?: readonly Base[];
  /** What was verified is given on from here meanwhile. */
  readonly holdings?: Offers;
  readonly limits?: Limits;
  /** The priority of its threads: 10, so that what streams goes first. */
  readonly nice?: number;
  /** Of what comes from peers; undefined: no limit. */
  readonly bytesPerSecond?: number;
  readonly signal?: AbortSignal;
  /** Bytes of the file that are here, of all. Told again and again while the disk answers. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Nothing came for so long: it ends, and what came stays. */
  readonly patienceMs?: number;
}

export interface Filled {
  /** False: by this manifest it is another file. */
  readonly isProved: boolean;
  /** Peers that say that they have all of it by this manifest. */
  readonly believers: readonly Peer[];
  readonly peerBytes: Readonly<Record<string, number>>;
  readonly localBytes: number;
}

const PATIENCE_MS = 60_000;
/** How often one that has not all is asked what it has. */
const POLL_MS = 500;
/** How often it is told that the disk answers. */
const PULSE_MS = 1_000;
/** What a thread copies at once: others wait no longer for it. */
const COPY_BYTES = 8 << 20;
/** They wait for the disk by turns. */
const THREADS = 4;
const NICE = 10;

type Blamer = (peer: string, why: string) => void;

export async function fill(
  target: Target,
  wanted: Wanted,
  manifest: Manifest,
  options: FillOptions,
  blame: Blamer,
): Promise<Result<Filled, Fault<'Cancelled' | 'NoSource' | 'NoSpace'>>> {
  const slots = (options.limits ?? LIMITS).parallel;
  const hands = new Hands(manifest, target.fds, { threads: THREADS, slots, nice: options.nice ?? NICE });
  try {
    return await new Fill({ target, wanted, manifest, options, blame, hands }).run();
  } finally {
    await hands.close();
  }
}

interface Parts {
  readonly target: Target;
  readonly wanted: Wanted;
  readonly manifest: Manifest;
  readonly options: FillOptions;
  readonly blame: Blamer;
  readonly hands: Hands;
}

class Fill {
  readonly #parts: Parts;
  readonly #got: Uint8Array;
  readonly #plan: Plan;
  readonly #claims: { readonly base: Base; readonly claims: readonly Claim[] }[] = [];
  readonly #pace: Pace;
  readonly #slots: number[];
  readonly #believers = new Set<Peer>();
  readonly #peerBytes: Record<string, number> = {};
  /** Requests that are under way. */
  readonly #open = new Map<number, AbortController>();
  /** Aborted when it ends, well or not. */
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #thrown: { readonly error: unknown } | undefined;
  #doneBytes = 0;
  #localBytes = 0;
  #isLocalDone = false;
  #progressAt = performance.now();
  #wake: () => void = () => undefined;

  constructor(parts: Parts) {
    const { manifest, options } = parts;
    this.#parts = parts;
    this.#got = new Uint8Array(manifest.chunks);
    this.#plan = new Plan(new Uint8Array(manifest.chunks), manifest.chunkBytes, options.limits);
    this.#pace = new Pace(options.bytesPerSecond);
    this.#slots = Array.from({ length: (options.limits ?? LIMITS).parallel }, (_, slot) => slot);
  }

  async run(): Promise<Result<Filled, Fault<'Cancelled' | 'NoSource' | 'NoSpace'>>> {
    const { target, manifest, options, hands } = this.#parts;
    const { signal, holdings } = options;
    const cancel = () => {
      hands.stop();
      this.#end.abort();
      this.#wake();
    };
    signal?.addEventListener('abort', cancel);
    if (signal?.aborted) cancel();
    let withdraw: (() => void) | undefined;
    let pulse = hands.pulse;
    const pulses = setInterval(() => {
      if (hands.pulse === pulse) return;
      pulse = hands.pulse;
      options.onProgress?.(this.#doneBytes, manifest.sizeBytes);
    }, PULSE_MS).unref();
    try {
      const full = await target.lacksRoom(dataBytes(manifest));
      if (full) return { ok: false, error: full };
      await this.#prove();
      await target.setSize(manifest.sizeBytes);
      await hands.reserve();
      withdraw = holdings?.offer({ manifest, path: target.path, has: this.#got });
      this.#share();
      const isWhole = await this.#gather();
      if (signal?.aborted) return { ok: false, error: CANCELLED };
      if (!isWhole) return fail('NoSource', 'nobody gives the rest');
      const isProved = await this.#judge();
      if (signal?.aborted) return { ok: false, error: CANCELLED };
      const { peers } = options;
      const believers = peers.filter((peer) => this.#believers.has(peer));
      return ok({ isProved, believers, peerBytes: this.#peerBytes, localBytes: this.#localBytes });
    } finally {
      signal?.removeEventListener('abort', cancel);
      clearInterval(pulses);
      withdraw?.();
    }
  }

  /** What an earlier try left is believed of nothing: where its data is, each chunk is read. */
  async #prove(): Promise<void> {
    const { target, manifest, hands } = this.#parts;
    if ((await target.sizeBytes()) === 0) {
      this.#take([...manifest.zeros.keys()].filter((chunk) => manifest.zeros[chunk] === 1));
      return;
    }
    const step = Math.ceil(COPY_BYTES / manifest.chunkBytes);
    const starts = Array.from({ length: Math.ceil(manifest.chunks / step) }, (_, at) => at * step);
    const lane = async () => {
      for (let from = starts.shift(); from !== undefined && !this.#ended; from = starts.shift())
        this.#take(await hands.chunks({ kind: 'prove', from, to: Math.min(manifest.chunks, from + step) }));
    };
    await Promise.all(Array.from({ length: THREADS }, lane));
  }

  get #ended(): boolean {
    return this.#end.signal.aborted;
  }

  /** What other files here have is theirs to give; the rest is the peers'. */
  #share(): void {
    const { manifest, options } = this.#parts;
    const here = this.#got.slice();
    for (const base of options.bases ?? []) {
      const claims = claimsOf(manifest, here, base.manifest);
      for (const { chunk } of claims) here[chunk] = 1;
      this.#claims.push({ base, claims });
    }
    for (const [chunk, is] of here.entries()) if (is === 0) this.#plan.want(chunk);
  }

  /** False: the rest is given by nobody. */
  async #gather(): Promise<boolean> {
    this.#progressAt = performance.now();
    this.#start(this.#copyAll());
    for (const peer of this.#parts.options.peers) this.#start(this.#poll(peer));
    try {
      while (!this.#ended && !(this.#isLocalDone && this.#plan.missing === 0)) {
        const now = performance.now();
        if (this.#isHopeless(now)) return false;
        for (const request of this.#plan.next(now)) this.#start(this.#ask(request));
        for (const id of this.#plan.needless()) this.#open.get(id)?.abort();
        await this.#sleep(this.#plan.wakeAt(now) - now);
      }
    } finally {
      this.#end.abort();
      for (const controller of this.#open.values()) controller.abort();
      await Promise.all(this.#running);
    }
    if (this.#thrown) throw this.#thrown.error;
    return true;
  }

  #isHopeless(now: number): boolean {
    if (!this.#isLocalDone) return false;
    const { peers, patienceMs = PATIENCE_MS } = this.#parts.options;
    return this.#plan.left.length >= peers.length || now - this.#progressAt > patienceMs;
  }

  /** What one throws ends all. */
  #start(work: Promise<void>): void {
    const running: Promise<void> = work
      .catch((error: unknown) => {
        this.#thrown ??= { error };
        this.#end.abort();
      })
      .finally(() => {
        this.#running.delete(running);
        this.#wake();
      });
    this.#running.add(running);
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, Math.max(0, ms));
    if (this.#ended) resolve();
    await promise;
    clearTimeout(timer);
  }

  async #copyAll(): Promise<void> {
    for (const { base, claims } of this.#claims) {
      const opened = await openRegular(base.path);
      if (!opened.ok) {
        for (const { chunk } of claims) this.#plan.want(chunk);
        continue;
      }
      await using file = opened.value.file;
      await this.#copy(file, claims);
    }
    this.#isLocalDone = true;
  }

  async #copy({ fd }: FileHandle, claims: readonly Claim[]): Promise<void> {
    const { manifest, hands } = this.#parts;
    const step = Math.ceil(COPY_BYTES / manifest.chunkBytes);
    let at = 0;
    const lane = async () => {
      while (at < claims.length && !this.#ended) {
        const some = claims.slice(at, at + step);
        at += step;
        const chunks = some.map(({ chunk }) => chunk);
        const right = await hands.chunks({ kind: 'copy', fd, chunks, offsets: some.map(({ offset }) => offset) });
        this.#localBytes += this.#take(right);
        this.#wantRest(chunks, right);
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: THREADS }, lane));
    for (const one of lanes) if (one.status === 'rejected') throw one.reason;
  }

  #wantRest(chunks: readonly number[], right: readonly number[]): void {
    if (right.length === chunks.length) return;
    const are = new Set(right);
    for (const chunk of chunks) if (!are.has(chunk)) this.#plan.want(chunk);
    this.#wake();
  }

  /** What a peer has by now, until it has all. */
  async #poll(peer: Peer): Promise<void> {
    const { wanted, manifest } = this.#parts;
    const { signal } = this.#end;
    for (;;) {
      const facts = await peer.facts(wanted.sha256, manifest.chunks, signal);
      if (this.#ended) return;
      const isSame = facts.ok && facts.value.root === manifest.root;
      if (facts.ok || facts.error.code === 'Absent') this.#plan.has(peer.name, isSame ? facts.value.has : NONE);
      this.#wake();
      if (isSame && facts.value.has === 'all') {
        this.#believers.add(peer);
        return;
      }
      await delay(POLL_MS * (0.8 + 0.4 * Math.random()), undefined, { signal }).catch(() => undefined);
    }
  }

  async #ask({ id, source, chunks }: Request): Promise<void> {
    const { wanted, manifest, options, blame, hands } = this.#parts;
    const peer = options.peers.find(({ name }) => name === source);
    const slot = this.#slots.pop();
    if (!peer || slot === undefined) return this.#plan.failed(id, 'Busy', performance.now());
    const controller = new AbortController();
    this.#open.set(id, controller);
    try {
      const bytes = chunks.reduce((sum, chunk) => sum + lengthOf(manifest, chunk), 0);
      const at = slot * MAX_SLOT_BYTES;
      await this.#pace.take(bytes);
      const came = await peer.chunks(wanted.sha256, chunks, hands.memory.subarray(at, at + bytes), controller.signal);
      if (!came.ok) {
        const why = controller.signal.aborted ? 'Busy' : FAILURES[came.error.code];
        if (why === 'Lying') blame(source, came.error.message);
        return this.#plan.failed(id, why, performance.now());
      }
      const right = await hands.chunks({ kind: 'keep', chunks, at, bytes });
      this.#peerBytes[source] = (this.#peerBytes[source] ?? 0) + this.#take(right);
      const are = new Set(right);
      const wrong = chunks.filter((chunk) => !are.has(chunk));
      if (wrong.length > 0) blame(source, `chunk ${wrong[0]} that it sent is not what its digest says`);
      this.#plan.came(id, { right, wrong, now: performance.now() });
    } finally {
      this.#open.delete(id);
      this.#slots.push(slot);
    }
  }

  /** Bytes that are here since. */
  #take(chunks: readonly number[]): number {
    const { manifest, options } = this.#parts;
    let bytes = 0;
    for (const chunk of chunks) {
      if (this.#got[chunk] === 1) continue;
      this.#got[chunk] = 1;
      bytes += lengthOf(manifest, chunk);
    }
    if (bytes === 0) return 0;
    this.#progressAt = performance.now();
    this.#doneBytes += bytes;
    options.onProgress?.(this.#doneBytes, manifest.sizeBytes);
    return bytes;
  }

  /** A manifest whose root was recorded proves its chunks. Of another the file's digest does, as the disk has it. */
  async #judge(): Promise<boolean> {
    const { wanted, manifest, hands } = this.#parts;
    return wanted.root === manifest.root || (await hands.digest()) === wanted.sha256;
  }
}

/** Without its chunks of zeros, which take none. */
function dataBytes(manifest: Manifest): number {
  let bytes = 0;
  for (let chunk = 0; chunk < manifest.chunks; chunk++)
    if (manifest.zeros[chunk] === 0) bytes += lengthOf(manifest, chunk);
  return bytes;
}

const NONE = new Uint8Array(0);

const FAILURES: Readonly<Record<PeerFault['code'], Failure>> = {
  Absent: 'Busy',
  Busy: 'Busy',
  Unreachable: 'Dead',
  Invalid: 'Lying',
};
