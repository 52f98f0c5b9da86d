/**
 * The server: puts a transport (native or plain), the disks, and the role's decisions together. Sessions live in the transport's threads
 * (session.ts); here on the main thread are logins, reads that have to wait, the list of sessions, and the drain.
 */

import { randomBytes } from 'node:crypto';
import type { Export, Frontend } from '../export/frontend.ts';
import { type Claimant, claimOf } from '../farm/refusal.ts';
import { refKey, type VersionRef } from '../farm/token.ts';
import type { Disk, Leaves } from '../image/disk.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { KeyRing } from '../kit/seal.ts';
import { readMtu } from '../net/mtu.ts';
import { askSelf } from '../net/selftest.ts';
import type { Logger } from '../telemetry/log.ts';
import { type Paced, paced } from '../telemetry/paced.ts';
import { type Counters, sumCounters } from './counters.ts';
import { openDgram } from './dgram.ts';
import { extentTable } from './extents.ts';
import {
  MAX_DEVICE_SESSIONS,
  MAX_EXTENT_TABLE_BYTES,
  MAX_SEGMENT_BYTES,
  MIN_SEGMENT_BYTES,
  SEGMENT_GRAIN_BYTES,
  SEGMENT_HEADER_BYTES,
} from './limits.ts';
import { answerLogin, type LoginAnswer, type LoginPort, type LoginRequest } from './login.ts';
import { openNative } from './native/transport.ts';
import { type ByeReason, decode, encode, type Mode, type ServerEntry } from './packet.ts';
import {
  type Order,
  type PendingLogin,
  type PendingRead,
  type ServedDisk,
  type SessionEvent,
  type SessionInfo,
  type Settings,
  suiteOf,
} from './shard.ts';
import { siphash } from './siphash.ts';
import {
  type BufferFault,
  type Buffers,
  bufferFault,
  type Report,
  type Transport,
  type TransportFault,
} from './transport.ts';

export interface StreamServerOptions {
  /** The address that devices reach; one server an address. */
  readonly address: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Native only; each holds the sessions that the kernel's hash of their address gives it. */
  readonly threads: number;
  /** Read again each second: keys may change while the server runs. The same object means: nothing changed. */
  readonly ring: () => KeyRing;
  readonly mode: Mode;
  readonly site: string;
  /** Largest DATA segment; the client's path may allow less. Absent: what the MTU of our interface holds, when the sockets open. */
  readonly maxSegmentBytes?: number;
  /** Placement. A rejection is answered as Busy. */
  readonly login: (request: LoginRequest) => Promise<LoginAnswer>;
  readonly onSession: (event: SessionEvent) => void;
  /** Content that is not what its version says went out, or would have: found by a device or by ourselves. May be called for each read. */
  readonly onBadCopy?: (version: VersionRef, why: string, reads: number) => void;
  /** How long a READ waited for its disk. Those whose blocks are in the page cache do not come here. */
  readonly onRead?: (seconds: number) => void;
  /** A thread died: nothing is served any more. The role ends the process. */
  readonly onFailure: (error: Error) => void;
  readonly log: Logger;
  /** `auto`: native where koffi and libsodium load, plain elsewhere. */
  readonly native: 'auto' | 'native' | 'plain';
}

export interface SessionSnapshot extends SessionInfo {
  /** Unix milliseconds. */
  readonly since: number;
}

export type StreamFault = TransportFault;

/** How often `ring` is read. */
const RING_EVERY_MS = 1_000;
const DRAIN_LOOK_MS = 50;

/** What one packet of our interface holds: a larger segment would leave in fragments. */
const segmentOf = (mtu: number | undefined): number =>
  mtu === undefined ? MAX_SEGMENT_BYTES : mtu - SEGMENT_HEADER_BYTES;

function withinBounds(bytes: number): number {
  const wanted = Math.max(MIN_SEGMENT_BYTES, Math.min(MAX_SEGMENT_BYTES, bytes));
  return wanted - (wanted % SEGMENT_GRAIN_BYTES);
}

export async function startStreamServer(options: StreamServerOptions): Promise<Result<StreamServer, StreamFault>> {
  const server = new StreamServer(options);
  const opened = await server.open();
  return opened.ok ? ok(server) : opened;
}

interface Live extends SessionSnapshot {
  readonly thread: number;
  readonly session: number;
}

/** What threads get is copied to them: an object of a class arrives without its getters. */
const plain = ({ root, fd, pageHashes }: Leaves): Leaves => ({ root, fd, pageHashes });

interface Held {
  readonly disk: Disk;
  /** As threads were told of it. */
  readonly served: ServedDisk;
}

export class StreamServer implements Frontend {
  readonly #options: StreamServerOptions;
  /** Until when they are told to move. */
  readonly #handedOver = new Map<string, number>();
  readonly #live = new Map<string, Live>();
  /** Keys of `#live` by device, oldest first. */
  readonly #byDevice = new Map<string, Set<string>>();
  /** By `refKey`. */
  readonly #disks = new Map<string, Held>();
  /** Another Disk of the same version has another id. */
  readonly #byId = new Map<number, Held>();
  readonly #applied = new Map<number, { left: number; readonly done: () => void }>();
  readonly #login: LoginPort;
  #transport: Transport | undefined;
  #settings: Settings;
  #timer: NodeJS.Timeout | undefined;
  #nextDisk = 1;
  #nextOrder = 1;
  /** Whoever found a packet that does this may send it again and again. */
  readonly #met: Paced;
  readonly #readFailed: Paced;

  constructor(options: StreamServerOptions) {
    this.#options = options;
    const { ring, mode, log } = options;
    const error: Logger['error'] = (fields, message) => log.error(fields, message);
    this.#met = paced(error, 'stream: a packet met a fault and was dropped');
    this.#readFailed = paced(error, 'stream: read failed');
    this.#settings = {
      ring: ring(),
      servers: [],
      listVersion: 0,
      state: 'Streaming',
      loadPercent: 0,
      refused: new Set(),
    };
    this.#login = {
      sip: siphash,
      ring,
      mode,
      suite: (version) => suiteOf(mode, this.#disks.get(refKey(version))?.served),
      wallMs: Date.now,
      decide: options.login,
    };
  }

  /** Called once, by startStreamServer. */
  async open(): Promise<Result<void, StreamFault>> {
    const { native, log, ...rest } = this.#options;
    const { maxSegmentBytes = segmentOf(readMtu(rest.address)) } = rest;
    const options = {
      address: rest.address,
      port: rest.port,
      threads: rest.threads,
      site: rest.site,
      mode: rest.mode,
      maxSegmentBytes: withinBounds(maxSegmentBytes),
      settings: this.#settings,
      instance: randomBytes(8),
      cookieKey: randomBytes(16),
    };
    const edge = {
      report: (thread: number, report: Report) => this.#onReport(thread, report),
      failed: (error: Error) => rest.onFailure(error),
    };
    let opened = native === 'plain' ? await openDgram(options, edge) : await openNative(options, edge);
    if (!opened.ok && opened.error.code === 'NativeUnavailable' && native === 'auto') {
      log.warn({ reason: opened.error.message }, 'stream: plain sockets, about ten times slower');
      opened = await openDgram(options, edge);
    }
    if (!opened.ok) return opened;
    this.#transport = opened.value;
    const fault = this.bufferFault(0);
    if (fault) log.warn({ reason: fault.message }, 'stream: small socket buffers');
    this.#timer = setInterval(() => this.#readRing(), RING_EVERY_MS).unref();
    return ok(undefined);
  }

  get kind(): 'native' | 'plain' {
    return this.#transport?.kind ?? 'plain';
  }

  get port(): number {
    return this.#transport?.port ?? this.#options.port;
  }

  /** Threads are told of what changed alone. */
  async setExports(exports: readonly Export[]): Promise<void> {
    const wanted = new Map(exports.map((found) => [refKey(found), found]));
    const gone = [...this.#disks.keys()].filter((key) => !wanted.has(key));
    const changed = [...wanted].filter(([key, { disk }]) => this.#disks.get(key)?.disk !== disk);
    // A disk that throws when it is asked for its extents has changed nothing.
    const held = changed.map(([key, found]): Held => ({ disk: found.disk, served: this.#served(key, found) }));
    const others = [...gone, ...changed.map(([key]) => key)].flatMap((key) => this.#disks.get(key)?.served.id ?? []);
    for (const key of gone) this.#disks.delete(key);
    for (const each of held) {
      this.#disks.set(each.served.key, each);
      this.#byId.set(each.served.id, each);
    }
    await this.#tell((id) => ({ kind: 'disks', served: held.map(({ served }) => served), gone, id }));
    // A read that a thread asked for before it was told is of the disk that was there.
    for (const id of others) this.#byId.delete(id);
  }

  #served(key: string, { disk, vdisk, version, manifest, folder = key }: Export): ServedDisk {
    const { sizeBytes, leaves } = disk;
    const extents = extentTable(disk.extents?.(0, sizeBytes) ?? []);
    if (!extents.whole)
      this.#options.log.warn(
        { vdisk, version, bytes: MAX_EXTENT_TABLE_BYTES },
        'stream: the image lies in more pieces than the table of extents holds: beyond them it is read slowly. Convert it with a larger block',
      );
    return {
      id: this.#nextDisk++,
      key,
      folder,
      ref: { vdisk, version, manifest },
      sizeBytes,
      extents,
      ...(leaves ? { leaves: plain(leaves) } : {}),
    };
  }

  /** The servers of the site, as LIST says them; `listVersion` grows with each change. */
  setServers(listVersion: number, servers: readonly ServerEntry[]): Promise<void> {
    return this.#set({ listVersion, servers });
  }

  /**
   * Who may not read any more: their READs and PINGs are answered by Revoked, their ATTACHes and renewals by REFUSE. Replaces the last
   * call's. A first login stays the role's decision. Resolves when no thread reads for them.
   */
  setRefused(claimants: readonly Claimant[]): Promise<void> {
    return this.#set({ refused: new Set(claimants.map(claimOf)) });
  }

  /** What PONG says of the server. */
  setLoad(percent: number): Promise<void> {
    return this.#set({ loadPercent: Math.max(0, Math.min(100, Math.round(percent))) });
  }

  /** Not ready for a burst of so many devices: says the sysctl to set. */
  bufferFault(devices: number): BufferFault | undefined {
    const transport = this.#transport;
    return transport && bufferFault(transport.buffers(), transport.threads, devices);
  }

  /** Undefined: it is closed. */
  buffers(): Buffers | undefined {
    return this.#transport?.buffers();
  }

  sessions(): readonly SessionSnapshot[] {
    return [...this.#live.values()].map(({ thread: _, session: __, ...snapshot }) => snapshot);
  }

  counters(): Counters {
    return sumCounters(this.#transport?.counters ?? []);
  }

  /** The counters of each thread that runs beside the main one: its `turns` grow while it lives. */
  threads(): readonly Float64Array[] {
    return this.#transport?.kind === 'native' ? this.#transport.counters : [];
  }

  /**
   * Leaves: new devices are refused, each served one is told to MOVE to `target` (undefined: any other server) each 250 ms. Resolves when none
   * is served any more, or after `withinMs`; then whoever is left gets BYE. Stand-bys do not count: PONG tells them.
   */
  async drain(target: (session: SessionSnapshot) => ServerEntry | undefined, withinMs: number): Promise<void> {
    await this.#set({ state: 'Draining' });
    const end = performance.now() + withinMs;
    const told = new Set<string>();
    while (this.#tellToMove(told, target, end) && performance.now() < end)
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(DRAIN_LOOK_MS, Math.max(1, end - performance.now()))),
      );
    this.#bye('Drained');
  }

  /** Each served one for which `target` names a server is told to MOVE there, each 250 ms for so long; then it is asked for again. */
  handOver(target: (session: SessionSnapshot) => ServerEntry | undefined, withinMs: number): void {
    const now = performance.now();
    for (const [key, untilMs] of this.#handedOver)
      if (untilMs < now || !this.#live.has(key)) this.#handedOver.delete(key);
    for (const [key, live] of this.#live) {
      const server = live.role === 'serve' && !this.#handedOver.has(key) ? target(live) : undefined;
      if (!server) continue;
      this.#handedOver.set(key, now + withinMs);
      this.#transport?.order(live.thread, { kind: 'move', session: live.session, server, withinMs });
    }
  }

  /**
   * Whether any device is served; who is and was not told to move is told until `end`: also one that has attached anew in its place meanwhile, for packets of
   * another size, and one whose other server has ended.
   */
  #tellToMove(told: Set<string>, target: (session: SessionSnapshot) => ServerEntry | undefined, end: number): boolean {
    const served = [...this.#live].filter(([, { role }]) => role === 'serve');
    for (const [key, live] of served) {
      if (told.has(key)) continue;
      told.add(key);
      const server = target(live) ?? { host: '', port: 0, state: 'Unknown' };
      const withinMs = Math.max(0, Math.round(end - performance.now()));
      this.#transport?.order(live.thread, { kind: 'move', session: live.session, server, withinMs });
    }
    return served.length > 0;
  }

  /** A real HELLO through the socket, answered by a COOKIE. */
  async selfTest(): Promise<Result<void, Fault<'NoAnswer'>>> {
    const { address } = this.#options;
    const nonce = randomBytes(16);
    const why = await askSelf({
      address: address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address,
      port: this.port,
      packet: encode({ type: 'HELLO', session: 0, number: 0, nonce }),
      judge(bytes) {
        const answer = decode(bytes);
        return answer.ok && answer.value.type === 'COOKIE' && nonce.equals(answer.value.nonce) ? '' : undefined;
      },
    });
    return why === ''
      ? ok(undefined)
      : fail('NoAnswer', `the stream server on ${address} port ${this.port}, asked by itself: ${why}`);
  }

  /** Says BYE to whoever is attached, and ends sockets and threads. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#bye('Leaving');
    const transport = this.#transport;
    this.#transport = undefined;
    await transport?.close();
    for (const { done } of this.#applied.values()) done();
    this.#applied.clear();
  }

  #bye(reason: ByeReason): void {
    const transport = this.#transport;
    if (!transport) return;
    for (let thread = 0; thread < transport.threads; thread++) transport.order(thread, { kind: 'bye', reason });
  }

  #readRing(): void {
    const ring = this.#options.ring();
    if (ring !== this.#settings.ring) void this.#set({ ring });
  }

  #set(changed: Partial<Settings>): Promise<void> {
    this.#settings = { ...this.#settings, ...changed };
    return this.#tell((id) => ({ kind: 'settings', settings: changed, id }));
  }

  /** Resolves when the order holds in every thread. */
  #tell(orderOf: (id: number) => Order): Promise<void> {
    const transport = this.#transport;
    if (!transport) return Promise.resolve();
    const id = this.#nextOrder++;
    const order = orderOf(id);
    return new Promise((done) => {
      this.#applied.set(id, { left: transport.threads, done });
      for (let thread = 0; thread < transport.threads; thread++) transport.order(thread, order);
    });
  }

  #onReport(thread: number, report: Report): void {
    switch (report.kind) {
      case 'login':
        void this.#decide(thread, report.login);
        return;
      case 'read':
        void this.#read(thread, report.read);
        return;
      case 'session':
        this.#track(thread, report.event);
        return;
      case 'applied': {
        const waiting = this.#applied.get(report.id);
        if (!waiting || --waiting.left > 0) return;
        this.#applied.delete(report.id);
        waiting.done();
        return;
      }
      case 'badReads':
        this.#options.onBadCopy?.(report.ref, `${report.device} got wrong data`, report.reads);
        return;
      case 'fault':
        this.#fault(report.message);
    }
  }

  async #decide(thread: number, login: PendingLogin): Promise<void> {
    const bytes = await answerLogin(this.#login, login).catch((thrown: unknown) => {
      this.#fault(errorMessage(thrown));
      return undefined;
    });
    this.#transport?.order(thread, { kind: 'loginDone', key: login.key, bytes, to: login.from });
  }

  #fault(message: string): void {
    this.#met({ reason: message });
  }

  async #read(thread: number, { id, disk, offset, length }: PendingRead): Promise<void> {
    const held = this.#byId.get(disk);
    const began = performance.now();
    const data = await held?.disk.read(offset, length).catch((thrown: unknown) => this.#fault(errorMessage(thrown)));
    this.#options.onRead?.((performance.now() - began) / 1_000);
    if (data && !data.ok) this.#readFailed({ ...data.error, offset, length });
    if (held && data?.ok === false && data.error.code === 'ContentWrong')
      this.#options.onBadCopy?.(held.served.ref, data.error.message, 1);
    const bytes = data?.ok ? data.value : undefined;
    this.#transport?.order(thread, { kind: 'readDone', read: id, bytes });
  }

  #track(thread: number, event: SessionEvent): void {
    const { type, session, at, ...info } = event;
    const key = `${thread}/${session}`;
    if (type === 'left' || type === 'silent') this.#lose(key, info.device);
    else this.#live.set(key, { ...info, thread, session, since: this.#live.get(key)?.since ?? at });
    if (type === 'attached') this.#share(key, info.device);
    this.#options.onSession(event);
  }

  /** A device has a share of the sessions, over all threads: beyond it its oldest ones end. */
  #share(key: string, device: string): void {
    const mine = this.#byDevice.get(device) ?? new Set();
    this.#byDevice.set(device, mine.add(key));
    for (const oldest of [...mine].slice(0, -MAX_DEVICE_SESSIONS)) {
      const live = this.#live.get(oldest);
      if (live) this.#transport?.order(live.thread, { kind: 'bye', reason: 'Leaving', session: live.session });
    }
  }

  #lose(key: string, device: string): void {
    this.#live.delete(key);
    const mine = this.#byDevice.get(device);
    mine?.delete(key);
    if (mine?.size === 0) this.#byDevice.delete(device);
  }
}
