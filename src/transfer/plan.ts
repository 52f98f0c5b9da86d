/**
 * Which chunks are asked of whom: pure, for one file. Time is given and chance, too; what it answers is asked by `pull.ts`.
 *
 * ```
 * next(now) ──► requests ──► came(id, right, wrong, bytes, now) | failed(id, why, now)          has(source, chunks): said again and again
 * ```
 *
 * Of one that has all of the file is asked for first what nobody else has, at a random place: so twenty who pull from one take other parts each, and give them to each other.
 * A chunk is asked of a second source when the first is late with it, or when nothing else is to be asked; who comes first is believed, for each chunk is proved.
 */
import { type Backoff, backoffMs } from '../kit/backoff.ts';
import { Dense } from './dense.ts';
import { MAX_SLOT_BYTES } from './manifest.ts';

export interface Limits {
  /** Requests at once, of all sources together. */
  readonly parallel: number;
  /** Of one source. */
  readonly perSource: number;
  /** What a request asks for at most. */
  readonly requestBytes: number;
}

export const LIMITS: Limits = { parallel: 12, perSource: 2, requestBytes: MAX_SLOT_BYTES };

export interface Request {
  readonly id: number;
  readonly source: string;
  /** In order. */
  readonly chunks: readonly number[];
}

export type Failure =
  /** It has too much to do, or no longer has what it said: nothing wrong with it. */
  | 'Busy'
  /** It does not answer, or breaks off. */
  | 'Dead'
  /** What it sent is not what its digest says. */
  | 'Lying';

interface Source {
  readonly name: string;
  isWhole: boolean;
  /** A byte a chunk; of one that is whole none is asked. */
  has: Uint8Array;
  readonly requests: Set<Open>;
  bytesPerMs: number;
  failures: number;
  readyAt: number;
  isLeft: boolean;
  /** Nothing that is free could be had of it when so many had been freed; -1: not looked at since it said what it has. */
  nothingAt: number;
}

interface Open {
  readonly request: Request;
  readonly source: Source;
  readonly askedAt: number;
  readonly expectedAt: number;
  readonly lateAt: number;
  isLate: boolean;
}

/** A request is this long under way, so that a slow source holds little and a fast one is not asked for each chunk. */
const REQUEST_MS = 1_000;
const FIRST_BYTES_PER_MS = 8_000;
/** Late is four times what was expected of it, and no less than this. */
const LATE_FACTOR = 4;
const LEAST_LATE_MS = 2_000;
/** How much sooner it has to come to be asked of another, too. */
const HEDGE_FACTOR = 3;
const RETRY: Backoff = { baseMs: 250, maxMs: 15_000 };
const BUSY_MS = 200;
/** A MiB, of chunks of 64 KiB. */
const BLOCK_CHUNKS = 16;
/** Places that are looked at for the rarest. */
const PROBES = 8;

const GOT = 255;

export class Plan {
  readonly #chunkBytes: number;
  readonly #limits: Limits;
  readonly #random: () => number;
  /** By chunk: how often it is being asked for, or GOT. */
  readonly #asked: Uint8Array;
  /** By chunk: sources that are not whole and have it. */
  readonly #rarity: Uint16Array;
  readonly #sources = new Map<string, Source>();
  readonly #open = new Map<number, Open>();
  /** Chunks that nobody was asked for, in random places of a dense list: any is taken in O(1). */
  readonly #free: Dense;
  #freed = 0;
  #missing = 0;
  #nextId = 1;

  /** `wanted`: a byte a chunk, 1 where it is to be pulled. */
  constructor(wanted: Uint8Array, chunkBytes: number, limits = LIMITS, random: () => number = Math.random) {
    this.#chunkBytes = chunkBytes;
    this.#limits = limits;
    this.#random = random;
    this.#asked = wanted.map((is) => (is === 1 ? 0 : GOT));
    this.#rarity = new Uint16Array(wanted.length);
    this.#free = new Dense(wanted.length);
    for (const [chunk, is] of wanted.entries()) {
      if (is !== 1) continue;
      this.#free.add(chunk);
      this.#missing++;
    }
  }

  get missing(): number {
    return this.#missing;
  }

  /** Sources that are asked no more. */
  get left(): readonly string[] {
    return [...this.#sources.values()].filter(({ isLeft }) => isLeft).map(({ name }) => name);
  }

  /** One that was thought to be here is not. */
  want(chunk: number): void {
    if (this.#asked[chunk] !== GOT) return;
    this.#asked[chunk] = 0;
    this.#freeAgain(chunk);
    this.#missing++;
  }

  /** What a source has by now: all, or a byte a chunk. */
  has(name: string, chunks: Uint8Array | 'all'): void {
    const source = this.#sourceOf(name);
    const before = source.isWhole ? NONE : source.has;
    source.nothingAt = -1;
    source.isWhole = chunks === 'all';
    source.has = chunks === 'all' ? NONE : chunks;
    for (let chunk = 0; chunk < this.#asked.length; chunk++) {
      const more = (source.has[chunk] ?? 0) - (before[chunk] ?? 0);
      if (more !== 0) this.#rarity[chunk] = (this.#rarity[chunk] ?? 0) + more;
    }
  }

  /** What is to be asked now. */
  next(now: number): Request[] {
    for (const open of this.#open.values()) if (!open.isLate && now >= open.lateAt) this.#late(open);
    const requests: Request[] = [];
    while (this.#open.size < this.#limits.parallel) {
      const request = this.#best(now);
      if (!request) return requests;
      requests.push(request);
    }
    return requests;
  }

  /** When to ask again where nothing happens before. */
  wakeAt(now: number): number {
    const late = [...this.#open.values()].filter(({ isLate }) => !isLate).map(({ lateAt }) => lateAt);
    const ready = [...this.#sources.values()].filter(({ isLeft, readyAt }) => !isLeft && readyAt > now);
    return Math.min(now + LEAST_LATE_MS, ...late, ...ready.map(({ readyAt }) => readyAt));
  }

  /** Chunks of a request that are right and kept; those that are not there are asked for again. The source lies where one is wrong. */
  came(id: number, { right, wrong, now }: { right: readonly number[]; wrong: readonly number[]; now: number }): void {
    const open = this.#open.get(id);
    if (!open) return;
    const { source, askedAt } = open;
    for (const chunk of right) this.#got(chunk);
    this.#end(id);
    if (wrong.length > 0) {
      this.#failed(source, 'Lying', now);
      return;
    }
    const speed = (right.length * this.#chunkBytes) / Math.max(1, now - askedAt);
    source.bytesPerMs = source.bytesPerMs === 0 ? speed : source.bytesPerMs * 0.7 + speed * 0.3;
    source.failures = 0;
  }

  failed(id: number, why: Failure, now: number): void {
    const open = this.#end(id);
    if (open) this.#failed(open.source, why, now);
  }

  /** Requests of which every chunk is here by now: they may be broken off. */
  needless(): number[] {
    return [...this.#open.values()]
      .filter(({ request }) => request.chunks.every((chunk) => this.#asked[chunk] === GOT))
      .map(({ request }) => request.id);
  }

  #sourceOf(name: string): Source {
    const known = this.#sources.get(name);
    if (known) return known;
    const source: Source = {
      ...{ name, isWhole: false, has: NONE, requests: new Set<Open>() },
      ...{ bytesPerMs: 0, failures: 0, readyAt: 0, isLeft: false, nothingAt: -1 },
    };
    this.#sources.set(name, source);
    return source;
  }

  #failed(source: Source, why: Failure, now: number): void {
    if (why === 'Busy') {
      source.readyAt = now + BUSY_MS * (0.5 + this.#random());
      return;
    }
    if (why === 'Lying') source.isLeft = true;
    source.readyAt = now + backoffMs(RETRY, source.failures++, this.#random);
  }

  #got(chunk: number): void {
    if (this.#asked[chunk] === GOT) return;
    this.#asked[chunk] = GOT;
    this.#free.remove(chunk);
    this.#missing--;
  }

  #end(id: number): Open | undefined {
    const open = this.#open.get(id);
    if (!open) return undefined;
    this.#open.delete(id);
    open.source.requests.delete(open);
    if (!open.isLate) this.#release(open);
    return open;
  }

  #late(open: Open): void {
    open.isLate = true;
    this.#release(open);
  }

  /** What it was asked for may be asked of others. */
  #release({ request }: Open): void {
    for (const chunk of request.chunks) {
      const asked = this.#asked[chunk] ?? GOT;
      if (asked === GOT) continue;
      this.#asked[chunk] = asked - 1;
      if (asked === 1) this.#freeAgain(chunk);
    }
  }

  #freeAgain(chunk: number): void {
    this.#free.add(chunk);
    this.#freed++;
  }

  /** Of the free sources, the one with the fewest requests; of those the fastest. */
  #best(now: number): Request | undefined {
    const free = [...this.#sources.values()]
      .filter((source) => !source.isLeft && source.readyAt <= now && source.requests.size < this.#mayHave(source))
      .sort((one, other) => one.requests.size - other.requests.size || other.bytesPerMs - one.bytesPerMs);
    for (const source of free) {
      const chunks = this.#chunksOf(source, now);
      if (chunks.length > 0) return this.#ask(source, chunks, now);
    }
    return undefined;
  }

  /** Who is late has one request, and gets another when it ends. */
  #mayHave({ requests, failures }: Source): number {
    if (failures > 0 || [...requests].some(({ isLate }) => isLate)) return 1;
    return this.#limits.perSource;
  }

  #ask(source: Source, chunks: readonly number[], now: number): Request {
    const request: Request = { id: this.#nextId++, source: source.name, chunks };
    const bytes = chunks.length * this.#chunkBytes;
    const expectedMs = bytes / (source.bytesPerMs || FIRST_BYTES_PER_MS);
    const lateAt = now + Math.max(LEAST_LATE_MS, LATE_FACTOR * expectedMs);
    const open: Open = { request, source, askedAt: now, expectedAt: now + expectedMs, lateAt, isLate: false };
    this.#open.set(request.id, open);
    source.requests.add(open);
    for (const chunk of chunks) {
      this.#asked[chunk] = (this.#asked[chunk] ?? 0) + 1;
      this.#free.remove(chunk);
    }
    return request;
  }

  #chunksOf(source: Source, now: number): number[] {
    const bytes = Math.min(this.#limits.requestBytes, (source.bytesPerMs || FIRST_BYTES_PER_MS) * REQUEST_MS);
    const most = Math.max(1, Math.floor(bytes / this.#chunkBytes));
    const start = this.#start(source);
    if (start === undefined) return this.#hedged(source, most, now);
    // What lies together is asked for together, from the beginning of a block: so what comes leaves no crumbs, each of which would be a request.
    const from = start - (start % BLOCK_CHUNKS);
    const to = Math.min(this.#asked.length, from + Math.max(most, BLOCK_CHUNKS));
    const chunks: number[] = [];
    for (let chunk = from; chunk < to && chunks.length < most; chunk++)
      if (this.#canGive(source, chunk)) chunks.push(chunk);
    return chunks;
  }

  #canGive(source: Source, chunk: number): boolean {
    return this.#asked[chunk] === 0 && (source.isWhole || source.has[chunk] === 1);
  }

  /** The rarest of some places; where none of them fits, the first that does. */
  #start(source: Source): number | undefined {
    let best: number | undefined;
    for (let probe = 0; probe < PROBES && this.#free.size > 0; probe++) {
      const chunk = this.#free.at(Math.floor(this.#random() * this.#free.size));
      if (!this.#canGive(source, chunk)) continue;
      if (best === undefined || (this.#rarity[chunk] ?? 0) < (this.#rarity[best] ?? 0)) best = chunk;
    }
    if (best !== undefined || source.nothingAt === this.#freed) return best;
    const found = this.#free.find((chunk) => this.#canGive(source, chunk));
    if (found === undefined) source.nothingAt = this.#freed;
    return found;
  }

  /** Nothing else is to be asked: the end of what another was asked for, where it will come sooner by this one. */
  #hedged(source: Source, most: number, now: number): number[] {
    if (source.requests.size > 0 || this.#free.size > 0) return [];
    const can = (chunk: number) => this.#asked[chunk] === 1 && (source.isWhole || source.has[chunk] === 1);
    for (const { request, source: other, askedAt, expectedAt } of this.#open.values()) {
      if (other === source) continue;
      const chunks = request.chunks.filter(can).slice(-most);
      // Who is behind what was expected takes as long again.
      const otherMs = now < expectedAt ? expectedAt - now : now - askedAt;
      const ownMs = (chunks.length * this.#chunkBytes) / (source.bytesPerMs || FIRST_BYTES_PER_MS);
      if (chunks.length > 0 && otherMs > HEDGE_FACTOR * ownMs) return chunks;
    }
    return [];
  }
}

const NONE = new Uint8Array(0);
