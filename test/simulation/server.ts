/**
 * A streaming server: the real sessions (src/stream), login and segments, with what its process has around them: a disk, a site, and the ways in which both
 * go wrong. What the main thread does beside (the list of sessions, the drain, a device's share) is told here again in few lines.
 */
import { claimOf } from '../../src/farm/refusal.ts';
import { refKey, type VersionRef } from '../../src/farm/token.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import type { Peer } from '../../src/stream/cookie.ts';
import { makeCounters } from '../../src/stream/counters.ts';
import { extentTable } from '../../src/stream/extents.ts';
import { hkdf } from '../../src/stream/keys.ts';
import { MAX_DEVICE_SESSIONS } from '../../src/stream/limits.ts';
import { answerLogin, type LoginAnswer, type LoginRequest } from '../../src/stream/login.ts';
import type { ServerEntry, ServerState } from '../../src/stream/packet.ts';
import { wait } from '../../src/stream/reads.ts';
import { segments } from '../../src/stream/segments.ts';
import { obey, receive, tick } from '../../src/stream/session.ts';
import {
  type Effect,
  makeShard,
  type Order,
  type PendingLogin,
  type PendingRead,
  type SessionEvent,
  type Shard,
} from '../../src/stream/shard.ts';
import { siphash } from '../../src/stream/siphash.ts';
import { MESSAGES } from '../../src/stream/wire.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';
import type { Fault, Scene } from './scene.ts';

export const SITE = 'paris';
export const PORT = 6910;
export const REF: VersionRef = { vdisk: 'lab', version: 0, manifest: 'ab' };
export const DEVICE = { device: 'pc1', mac: '52:54:00:00:00:01' };
export const WALL_MS = 1_800_000_000_000;
/** Packets that wait in the socket of a server that does not run. */
const BUFFERED = 512;
const DRAIN_LOOK_US = 50_000;
/** Of a read that is not in the page cache, and how many are not. */
const COLD_US = 8_000;
const COLD_SHARE = 0.1;
const PAGE_BITS = 12;

/** What a server has in common with the others: the farm's keys, its disk, and what each knows of all. */
export interface Farm {
  readonly scene: Scene;
  readonly clock: Clock;
  readonly random: Random;
  readonly ring: KeyRing;
  readonly content: Buffer;
  readonly peer: Peer;
  servers(): readonly ServerEntry[];
  readonly listVersion: number;
  /** The others hear of it, a little later. */
  changed(): void;
  send(server: number, bytes: Buffer): void;
  /** The step is not over before this is. */
  pending(work: Promise<void>): void;
  note(text: () => string): void;
  /** A bug. */
  broken(text: string): void;
}

export const hostOf = (server: number): string => `10.0.0.${server + 1}`;

export class Server {
  readonly index: number;
  state: ServerState = 'Streaming';
  readonly #farm: Farm;
  #shard: Shard | undefined;
  /** Of its process: what an earlier one has begun is nothing to a later one. */
  #life = 0;
  #faults: Fault[] = [];
  /** What happened while it did not run, in order. */
  #held: (() => void)[] | undefined;
  #heldPackets = 0;
  #hung: (() => void)[] = [];
  /** Pages of its disk; it outlives the process. */
  readonly #cached = new Set<number>();
  readonly #live = new Map<number, SessionEvent>();

  constructor(index: number, farm: Farm) {
    this.index = index;
    this.#farm = farm;
    this.#start();
  }

  get #nowMs(): number {
    return this.#farm.clock.nowUs / 1_000;
  }

  #start(): void {
    const { scene, random, ring, clock } = this.#farm;
    this.#life++;
    this.#live.clear();
    this.#hung = [];
    this.#held = this.#has('pause') ? [] : undefined;
    this.state = 'Streaming';
    const identity = {
      site: SITE,
      mode: scene.mode,
      instance: random.bytes(8),
      cookieKey: random.bytes(16),
      maxSegmentBytes: scene.serverSegmentBytes,
    };
    const { listVersion } = this.#farm;
    const servers = this.#farm.servers();
    const settings = { ring, servers, listVersion, state: this.state, loadPercent: 0, refused: new Set<string>() };
    this.#shard = makeShard(identity, settings, {
      sip: siphash,
      hkdf,
      random: (bytes) => random.bytes(bytes),
      counters: makeCounters(),
      wallMs: () => WALL_MS + clock.nowUs / 1_000,
      own: { addresses: [hostOf(this.index)], ports: [PORT], broadcasts: [], loopback: false },
    });
    this.#disks();
    this.#refused();
  }

  #stop(): void {
    this.#shard = undefined;
    this.#life++;
    this.#held = undefined;
    this.#hung = [];
  }

  /** The others see that it does not answer, or that it does again. */
  #seen(state: ServerState): void {
    this.state = state;
    this.#farm.changed();
  }

  #mine(fault: Fault): boolean {
    return 'server' in fault && !('ways' in fault) && fault.server === this.index;
  }

  begin(fault: Fault): void {
    if (!this.#mine(fault)) return;
    this.#faults = [...this.#faults, fault];
    switch (fault.kind) {
      case 'crash':
        this.#stop();
        this.#farm.clock.after(1e6, () => {
          if (!this.#shard) this.#seen('Unreachable');
        });
        break;
      case 'drain':
        this.#drain(fault.fromUs + (fault.untilUs - fault.fromUs) * 0.7);
        break;
      case 'pause':
        this.#held ??= [];
        break;
      default:
        this.#change(fault);
    }
  }

  end(fault: Fault): void {
    if (!this.#mine(fault)) return;
    this.#faults = this.#faults.filter((one) => one !== fault);
    switch (fault.kind) {
      case 'crash':
      case 'drain':
        if (this.#has('crash') || this.#has('drain')) break;
        if (this.#shard) this.#stop();
        this.#start();
        this.#seen('Streaming');
        break;
      case 'pause':
        if (!this.#has('pause')) this.#resume();
        break;
      case 'hungDisk':
        if (this.#has('hungDisk')) break;
        for (const answer of this.#hung.splice(0)) answer();
        break;
      default:
        this.#change(fault);
    }
  }

  #change(fault: Fault): void {
    if (fault.kind === 'noCopy') this.#disks();
    if (fault.kind === 'revoked') this.#refused();
  }

  #has(kind: Fault['kind']): boolean {
    return this.#faults.some((fault) => fault.kind === kind);
  }

  #disks(): void {
    const key = refKey(REF);
    const disk = {
      id: 1,
      key,
      folder: '/srv',
      ref: REF,
      sizeBytes: this.#farm.scene.diskBytes,
      extents: extentTable([]),
    };
    const order: Order = this.#has('noCopy')
      ? { kind: 'disks', served: [], gone: [key], id: 0 }
      : { kind: 'disks', served: [disk], gone: [], id: 0 };
    this.run(() => this.#obey(order));
  }

  #refused(): void {
    const refused = new Set(this.#has('revoked') ? [claimOf({ ...DEVICE, vdisk: REF.vdisk })] : []);
    this.run(() => this.#obey({ kind: 'settings', settings: { refused }, id: 0 }));
  }

  /** What the others are, as this server hears it. */
  hear(servers: readonly ServerEntry[], listVersion: number): void {
    this.run(() => this.#obey({ kind: 'settings', settings: { servers, listVersion }, id: 0 }));
  }

  /** Now, or when it runs again; never when it was ended in between. */
  run(act: () => void): void {
    if (!this.#shard) return;
    if (this.#held) this.#held.push(act);
    else act();
  }

  #later(us: number, act: () => void): void {
    const life = this.#life;
    this.#farm.clock.after(us, () => {
      if (life === this.#life) this.run(act);
    });
  }

  #resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldPackets = 0;
    const life = this.#life;
    for (const act of held) if (life === this.#life) act();
  }

  tick(): void {
    if (this.#shard && !this.#held) this.#perform(tick(this.#shard, this.#nowMs));
  }

  receive(bytes: Buffer, forged: boolean): void {
    if (this.#held && this.#heldPackets++ >= BUFFERED) return;
    this.run(() => {
      const shard = this.#shard;
      if (!shard) return;
      const effects = receive(shard, bytes, this.#farm.peer, this.#nowMs);
      const believed = forged && bytes[0] !== MESSAGES.LOGIN.type && effects.find(({ kind }) => kind !== 'send');
      if (believed) this.#farm.broken(`server ${this.index} believes a packet that was changed: ${believed.kind}`);
      this.#perform(effects);
    });
  }

  #obey(order: Order): void {
    if (this.#shard) this.#perform(obey(this.#shard, order, this.#nowMs));
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.#farm.send(this.index, effect.bytes);
          break;
        case 'data':
          for (const packet of segments(this.#farm.scene.mode, effect.session, effect.read, effect.bytes))
            this.#farm.send(this.index, packet);
          break;
        case 'read':
          this.#read(effect.read);
          break;
        case 'login':
          this.#login(effect.login);
          break;
        case 'session':
          this.#track(effect.event);
      }
    }
  }

  /** In the page cache: at once. Not there: a WAIT, and later the data or that it cannot be read. */
  #read(read: PendingRead): void {
    const { offset, length } = read;
    const { random, content } = this.#farm;
    let delayUs = this.#cold(offset, length) ? random.between(100, COLD_US) : 0;
    let bytes: Buffer | undefined = content.subarray(offset, offset + length);
    for (const fault of this.#faults) {
      if (fault.kind === 'slowDisk') delayUs += fault.delayUs * (0.5 + random.share());
      if (fault.kind !== 'badDisk' || offset >= fault.to || offset + length <= fault.from) continue;
      bytes = undefined;
      delayUs += 500;
    }
    const done = (): void => this.#obey({ kind: 'readDone', read: read.id, bytes });
    const hung = this.#has('hungDisk');
    if (delayUs === 0 && !hung) {
      done();
      return;
    }
    if (this.#shard) this.#perform(wait(this.#shard, read));
    if (hung) this.#hung.push(() => this.#later(delayUs, done));
    else this.#later(delayUs, done);
  }

  /** Some pages are not in the page cache, until they are read. */
  #cold(offset: number, length: number): boolean {
    let cold = false;
    for (let page = offset >> PAGE_BITS; page <= (offset + length - 1) >> PAGE_BITS; page++) {
      if (this.#cached.has(page)) continue;
      this.#cached.add(page);
      cold ||= this.#farm.random.chance(COLD_SHARE);
    }
    return cold;
  }

  #login(login: PendingLogin): void {
    const { ring, scene, clock, random } = this.#farm;
    const wallMs = (): number => WALL_MS + clock.nowUs / 1_000;
    const decide = async (request: LoginRequest) => this.#place(request);
    const port = { sip: siphash, ring: () => ring, mode: scene.mode, suite: () => 'Aead' as const, wallMs, decide };
    const answer = answerLogin(port, login);
    const life = this.#life;
    this.#farm.pending(
      answer.then((bytes) => {
        if (life !== this.#life) return;
        this.#later(random.scale(50, 5_000), () =>
          this.#obey({ kind: 'loginDone', key: login.key, bytes, to: login.from }),
        );
      }),
    );
  }

  /** The farm's placement is its own test's: here any server that streams is as good as another. */
  #place({ redirected, renew }: LoginRequest): LoginAnswer {
    const { random, scene, listVersion } = this.#farm;
    if (this.#has('busy')) return { kind: 'refuse', code: 'Busy', retryAfterMs: 700, text: 'many boot at this moment' };
    if (!renew && this.#has('revoked'))
      return { kind: 'refuse', code: 'UnknownDevice', retryAfterMs: 1_000, text: 'pc1 is disabled' };
    const servers = this.#shard?.settings.servers ?? [];
    const able = servers.filter(({ state }) => state === 'Streaming');
    const own = servers.find(({ host }) => host === hostOf(this.index));
    const first = redirected && own ? own : able.length > 0 ? random.of(able) : own;
    if (!first) return { kind: 'refuse', code: 'NoServer', retryAfterMs: 500, text: 'no server may take it' };
    if (first !== own && !redirected && !renew && random.chance(0.5)) return { kind: 'redirect', server: first };
    const ordered = [first, ...servers.filter((one) => one !== first)];
    return { kind: 'ticket', sizeBytes: scene.diskBytes, blockSize: 512, servers: ordered, listVersion };
  }

  #track(event: SessionEvent): void {
    if (event.type === 'left' || event.type === 'silent') this.#live.delete(event.session);
    else this.#live.set(event.session, event);
    if (event.type !== 'attached') return;
    for (const session of [...this.#live.keys()].slice(0, -MAX_DEVICE_SESSIONS))
      this.#obey({ kind: 'bye', reason: 'Leaving', session });
  }

  #drain(untilUs: number): void {
    if (!this.#shard || this.state === 'Draining') return;
    this.run(() => this.#obey({ kind: 'settings', settings: { state: 'Draining' }, id: 0 }));
    this.#seen('Draining');
    const told = new Set<number>();
    const { clock, random } = this.#farm;
    const look = (): void => {
      const served = [...this.#live.values()].filter(({ role }) => role === 'serve');
      for (const { session } of served.filter((one) => !told.has(one.session))) {
        told.add(session);
        const others = this.#farm
          .servers()
          .filter(({ host, state }) => host !== hostOf(this.index) && state === 'Streaming');
        const any: ServerEntry = { host: '', port: 0, state: 'Unknown' };
        const server = others.length > 0 && random.chance(0.5) ? random.of(others) : any;
        const withinMs = Math.max(0, Math.round((untilUs - clock.nowUs) / 1_000));
        this.#obey({ kind: 'move', session, server, withinMs });
      }
      if (served.length > 0 && clock.nowUs < untilUs) this.#later(DRAIN_LOOK_US, look);
      else {
        this.#obey({ kind: 'bye', reason: 'Drained' });
        this.#stop();
      }
    };
    this.#later(0, look);
  }
}
