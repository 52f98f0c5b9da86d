/**
 * The client of `-- sessions`: `serve` devices, as many that stand by, and `honest` ones beside them, each with an address of its own. It spins on its
 * processor, so that it sends when a packet is due; `busyPercent` is the part of the time in which it had something to do, and `lateMs` how late it was
 * at the worst. It takes a JSON line a phase and answers it by one.
 *
 *   node test/bench/sessions/crowd.ts '{"serve","standby","honest","host","file","fileBytes","readBytes","seed"}'
 */
import { createInterface } from 'node:readline';
import { native } from '../../../src/stream/native/sodium.ts';
import { Devices, type Seen } from './devices.ts';
import { Post } from './post.ts';

export interface CrowdOptions {
  readonly serve: number;
  readonly standby: number;
  readonly honest: number;
  readonly host: string;
  readonly file: string;
  readonly fileBytes: number;
  readonly readBytes: number;
  readonly seed: number;
}

export type Phase =
  /** New sessions for these, so many a second (0: all at once), beside `readsPerSecond` of the honest. Ends when all are there. */
  | {
      readonly kind: 'attach';
      readonly who: 'serve' | 'standby' | 'honest';
      readonly perSecond: number;
      readonly readsPerSecond: number;
    }
  /** READs of all that are served, spread evenly over them; 0: they are idle, and send a PING each second. Whoever stands by sends one each 5 s. */
  | { readonly kind: 'run'; readonly readsPerSecond: number; readonly seconds: number }
  /** So many READs at once. */
  | { readonly kind: 'burst'; readonly reads: number };

export interface PhaseResult {
  readonly seconds: number;
  readonly attached: number;
  readonly refused: number;
  readonly reads: number;
  /** Never answered whole. */
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly pings: number;
  readonly pongs: number;
  readonly busyPercent: number;
  readonly lateMs: number;
}

/** A READ that is not answered by then is lost. */
const LOST_MS = 1_000;
const STANDBY_PING_SECONDS = 5;
const ATTACH_DEADLINE_MS = 60_000;
const BURST_MS = 1_000;
/** `target/src/session.h`: three tries from 100 ms, doubled; then a pause from 100 ms. */
const ATTACH_AGAIN_MS = 100;
const ATTACH_TRIES = 3;
const LOOK_MS = 5;
/** ATTACHes that leave before the answers to READs are looked for again. */
const AT_A_TIME = 64;

const options: CrowdOptions = JSON.parse(process.argv[2] ?? '{}');
const loaded = native();
if (!loaded.ok) throw new Error(loaded.error.message);
const post = new Post(loaded.value, options.host);
const { serve, standby, honest } = options;
const devices = new Devices(loaded.value, post, { ...options, count: serve + standby + honest });
const RANGES = {
  serve: { first: 0, count: serve },
  standby: { first: serve, count: standby },
  honest: { first: serve + standby, count: honest },
} as const;

let state = options.seed;
/** In [0, 1): mulberry32. */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
}

/** Something that happens so many times a second at random times, to one device after the other. */
class Beat {
  readonly #everyMs: number;
  readonly #first: number;
  readonly #order: Uint32Array;
  readonly #act: (device: number, dueMs: number) => void;
  #nextMs: number;
  #turn = 0;

  constructor(perSecond: number, who: keyof typeof RANGES, act: (device: number, dueMs: number) => void) {
    const { first, count } = RANGES[who];
    this.#everyMs = 1_000 / perSecond;
    this.#first = first;
    this.#order = shuffled(count);
    this.#act = act;
    this.#nextMs = performance.now() + this.#everyMs;
  }

  /** All that is due; how late the first of it is. */
  act(nowMs: number): number {
    const late = nowMs - this.#nextMs;
    while (this.#nextMs <= nowMs) {
      this.#act(this.#first + (this.#order[this.#turn] ?? 0), this.#nextMs);
      this.#turn = (this.#turn + 1) % this.#order.length;
      this.#nextMs -= Math.log(1 - random()) * this.#everyMs;
    }
    return late;
  }
}

function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}

/** One phase: what was asked, and what came. */
class Count {
  readonly latencies: number[] = [];
  attached = 0;
  refused = 0;
  lost = 0;
  pings = 0;
  pongs = 0;
  busyMs = 0;
  lateMs = 0;
  readonly startMs = performance.now();

  read = (device: number, dueMs: number): void => {
    if (devices.read(device, dueMs, random)) this.lose();
  };
  ping = (device: number): void => {
    this.pings++;
    devices.ping(device, device < RANGES.standby.first ? 'serve' : 'standby');
  };
  lose(): void {
    this.lost++;
    this.latencies.push(LOST_MS);
  }

  /** Until `over`; `seen` is told of each packet. */
  run(beats: readonly Beat[], over: (nowMs: number) => boolean, seen: (what: Seen, device: number) => void): void {
    let now = performance.now();
    const take = (device: number, at: number, got: number, each: number): void => {
      const what = devices.take(device, at, got, each);
      if (what === 'read') this.latencies.push(now - (devices.dueMs[device] ?? now));
      else if (what === 'pong') this.pongs++;
      else if (what === 'refused') this.refused++;
      else if (what === 'attached') this.attached++;
      seen(what, device);
    };
    while (!over(now)) {
      const began = now;
      let did = false;
      for (const beat of beats) {
        const late = beat.act(now);
        if (late < 0) continue;
        did = true;
        if (late > this.lateMs) this.lateMs = late;
      }
      post.flush();
      now = performance.now();
      if (post.receive(take) > 0) did = true;
      const after = performance.now();
      if (did) this.busyMs += after - began;
      now = after;
    }
  }

  result(endMs = performance.now()): PhaseResult {
    const sorted = Float64Array.from(this.latencies).sort();
    const part = (of: number): number => sorted[Math.max(0, Math.ceil(sorted.length * of) - 1)] ?? 0;
    const ms = endMs - this.startMs;
    const { attached, refused, lost, pings, pongs, lateMs } = this;
    const told = { seconds: ms / 1_000, attached, refused, reads: sorted.length, lost };
    const times = { p50Ms: part(0.5), p99Ms: part(0.99), maxMs: part(1) };
    return { ...told, ...times, pings, pongs, busyPercent: (100 * this.busyMs) / ms, lateMs };
  }
}

/** READs that are still open when a phase ends: the last ones have a moment, the others are lost. */
function settle(count: Count, from: number, many: number): void {
  const end = performance.now() + LOST_MS;
  const isOpen = (): boolean => devices.open.subarray(from, from + many).some((number) => number !== 0);
  let looked = 0;
  count.run(
    [],
    (now) => {
      if (now - looked < LOOK_MS) return false;
      looked = now;
      return now > end || !isOpen();
    },
    () => undefined,
  );
  for (let device = from; device < from + many; device++) {
    if (devices.open[device] === 0) continue;
    devices.open[device] = 0;
    count.lose();
  }
}

const againMs = (tried: number): number => (0.8 + 0.4 * random()) * ATTACH_AGAIN_MS * 2 ** (tried % ATTACH_TRIES);

function attach({ who, perSecond, readsPerSecond }: Extract<Phase, { kind: 'attach' }>): PhaseResult {
  const count = new Count();
  const { first, count: many } = RANGES[who];
  const role = who === 'standby' ? 'standby' : 'serve';
  const beats = readsPerSecond > 0 ? [new Beat(readsPerSecond, 'honest', count.read)] : [];
  const nextMs = new Float64Array(many);
  const tries = new Int32Array(many).fill(-1);
  const order = shuffled(many);
  let [begun, looked] = [0, 0];
  const send = (index: number, now: number): void => {
    const tried = (tries[index] ?? 0) + 1;
    tries[index] = tried;
    if (tried % ATTACH_TRIES === 0) devices.begin(first + index, role);
    else devices.attach(first + index, role);
    nextMs[index] = now + againMs(tried);
  };
  const look = (now: number): void => {
    looked = now;
    const due = perSecond === 0 ? many : Math.min(many, Math.ceil(((now - count.startMs) * perSecond) / 1_000));
    for (const end = Math.min(due, begun + AT_A_TIME); begun < end; begun++) send(order[begun] ?? 0, now);
    if (begun < due) return;
    for (let index = 0, left = AT_A_TIME; index < many && left > 0; index++) {
      if (tries[index] === -1 || devices.sessions[first + index] !== 0 || now < (nextMs[index] ?? 0)) continue;
      send(index, now);
      left--;
    }
  };
  count.run(
    beats,
    (now) => {
      if (begun < many || now - looked >= LOOK_MS) look(now);
      return count.attached === many || now - count.startMs > ATTACH_DEADLINE_MS;
    },
    (what, device) => {
      if (what !== 'again') return;
      devices.attach(device, role);
      nextMs[device - first] = performance.now() + againMs(tries[device - first] ?? 0);
    },
  );
  const doneMs = performance.now();
  settle(count, RANGES.honest.first, honest);
  return count.result(doneMs);
}

function run({ readsPerSecond, seconds }: Extract<Phase, { kind: 'run' }>): PhaseResult {
  const count = new Count();
  const endMs = count.startMs + seconds * 1_000;
  const beats = [
    new Beat(standby / STANDBY_PING_SECONDS, 'standby', count.ping),
    readsPerSecond > 0 ? new Beat(readsPerSecond, 'serve', count.read) : new Beat(serve, 'serve', count.ping),
  ];
  count.run(
    beats,
    (now) => now >= endMs,
    () => undefined,
  );
  settle(count, RANGES.serve.first, serve);
  return count.result(endMs);
}

function burst({ reads }: Extract<Phase, { kind: 'burst' }>): PhaseResult {
  const count = new Count();
  const now = performance.now();
  for (let device = 0; device < reads; device++) count.read(device % serve, now);
  count.run(
    [],
    (at) => at > now + BURST_MS || count.latencies.length === reads,
    () => undefined,
  );
  const doneMs = performance.now();
  settle(count, RANGES.serve.first, serve);
  return count.result(doneMs);
}

console.log('{}');
createInterface({ input: process.stdin }).on('line', (line) => {
  const phase: Phase = JSON.parse(line);
  const result = phase.kind === 'attach' ? attach(phase) : phase.kind === 'run' ? run(phase) : burst(phase);
  console.log(JSON.stringify(result));
});
