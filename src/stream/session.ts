/**
 * What one thread of a server decides: every packet and every order of the main thread is a step that changes the thread's state and gives
 * effects. No sockets, files or timers here. The state is changed in place (a thread holds up to 65,536 sessions); nothing else may touch it.
 */
import { openTicket, type Ticket, type VersionRef } from '../farm/token.ts';
import type { Extent } from '../image/disk.ts';
import type { KeyRing } from '../kit/seal.ts';
import { checkCookie, makeCookie, type Peer } from './cookie.ts';
import { type Counter, count, type DropReason } from './counters.ts';
import { attachKey, sign, type TrafficKeys, trafficKeys, verify } from './keys.ts';
import {
  BUSY_RETRY_MS,
  MAX_PENDING_LOGINS,
  MAX_PENDING_READS,
  MAX_SESSIONS,
  MOVE_EVERY_MS,
  REFUSED_RETRY_MS,
  SILENT_MS,
  UNKNOWNS_PER_SECOND,
} from './limits.ts';
import {
  type Attach,
  type ByeReason,
  decode,
  encode,
  type Login,
  type Mode,
  type Packet,
  type Ping,
  type Read,
  type ReadError,
  type Refusal,
  type Role,
  type ServerEntry,
  type ServerState,
  TAG_BYTES,
} from './packet.ts';
import type { Sip } from './siphash.ts';
import { ReplayWindow } from './window.ts';

/** A disk as a thread knows it; the main thread holds the Disk itself under the same id. */
export interface ServedDisk {
  readonly id: number;
  readonly ref: VersionRef;
  readonly sizeBytes: number;
  /** What native code may read by itself; in order of offset. */
  readonly extents: readonly Extent[];
}

/** What the main thread tells a thread, at its start and whenever it changes. */
export interface Settings {
  readonly ring: KeyRing;
  readonly disks: readonly ServedDisk[];
  readonly servers: readonly ServerEntry[];
  readonly listVersion: number;
  readonly state: ServerState;
  readonly loadPercent: number;
  /** Devices whose right to read ended while they stream. */
  readonly refused: ReadonlySet<string>;
}

/** What never changes while a server runs. */
export interface Identity {
  readonly site: string;
  readonly mode: Mode;
  /** 8 random bytes of the server process. */
  readonly instance: Uint8Array;
  readonly cookieKey: Uint8Array;
  readonly maxSegmentBytes: number;
}

export interface SessionInfo {
  readonly device: string;
  readonly mac: string;
  readonly vdisk: string;
  readonly version: number;
  readonly role: Role;
  readonly address: Peer;
}

export interface SessionEvent extends SessionInfo {
  /** `role`: between serve and stand-by. `silent`: said nothing for 30 s and counts as gone. */
  readonly type: 'attached' | 'role' | 'left' | 'silent';
  /** Unique among the sessions of a thread. */
  readonly session: number;
  /** Unix milliseconds. */
  readonly at: number;
}

export interface Session {
  readonly id: number;
  readonly peer: Peer;
  readonly ticket: Ticket;
  readonly disk: string;
  readonly keys: TrafficKeys;
  readonly segmentBytes: number;
  readonly clientNonce: Buffer;
  /** Sent again when the same ATTACH comes again. */
  readonly attached: Buffer;
  readonly window: ReplayWindow;
  role: Role;
  /** Its device is among the refused ones: a field, so that the fast path looks at nothing else. */
  refused: boolean;
  seenMs: number;
  /** The last packet number sent. */
  sent: number;
  move?: { readonly server: ServerEntry; readonly untilMs: number; nextMs: number };
}

/** A READ that waits for its disk. */
export interface PendingRead {
  readonly id: number;
  readonly session: number;
  readonly disk: number;
  /** The READ's packet number. */
  readonly request: number;
  readonly offset: number;
  readonly length: number;
  /** The READ's tag, which a Trusted answer repeats. */
  readonly tag: Buffer;
}

export type Effect =
  | { readonly kind: 'send'; readonly bytes: Buffer; readonly to: Peer }
  /** Cut and send an answer: tag and segments are the transport's. */
  | { readonly kind: 'data'; readonly session: Session; readonly read: PendingRead; readonly bytes: Uint8Array }
  | { readonly kind: 'read'; readonly read: PendingRead }
  | { readonly kind: 'login'; readonly login: PendingLogin }
  | { readonly kind: 'session'; readonly event: SessionEvent };

/** A LOGIN whose cookie is right: the main thread decides it. */
export interface PendingLogin {
  /** Address and nonce: the same LOGIN again is not decided twice at a time. */
  readonly key: string;
  readonly packet: Uint8Array;
  readonly from: Peer;
}

export type Order =
  /** Only what changed. */
  | { readonly kind: 'settings'; readonly settings: Partial<Settings>; readonly id: number }
  | { readonly kind: 'loginDone'; readonly key: string; readonly bytes: Uint8Array | undefined; readonly to: Peer }
  | { readonly kind: 'readDone'; readonly read: number; readonly bytes: Uint8Array | undefined }
  | { readonly kind: 'move'; readonly session: number; readonly server: ServerEntry; readonly withinMs: number }
  | { readonly kind: 'bye'; readonly reason: ByeReason };

/** The state of one thread. */
export interface Shard extends Identity {
  readonly sip: Sip;
  /** Unix milliseconds, for the life of tickets and for events. All other times are of a clock that never jumps. */
  readonly wallMs: () => number;
  readonly random: (bytes: number) => Buffer;
  readonly counters: Float64Array;
  settings: Settings;
  disks: ReadonlyMap<string, ServedDisk>;
  readonly sessions: Map<number, Session>;
  readonly byPeer: Map<string, Session>;
  readonly logins: Set<string>;
  readonly reads: Map<number, PendingRead>;
  nextRead: number;
  /** UNKNOWNs left in this second. */
  unknowns: number;
  second: number;
}

export const refKey = ({ vdisk, version, manifest }: VersionRef): string => `${vdisk}/${version}/${manifest}`;
const peerKey = ({ host, port }: Peer): string => `${host}/${port}`;

const diskTable = (disks: readonly ServedDisk[]): ReadonlyMap<string, ServedDisk> =>
  new Map(disks.map((disk) => [refKey(disk.ref), disk]));

export function makeShard(
  identity: Identity,
  settings: Settings,
  edge: Pick<Shard, 'sip' | 'random' | 'counters' | 'wallMs'>,
): Shard {
  return {
    ...identity,
    ...edge,
    settings,
    disks: diskTable(settings.disks),
    sessions: new Map(),
    byPeer: new Map(),
    logins: new Set(),
    reads: new Map(),
    nextRead: 1,
    unknowns: UNKNOWNS_PER_SECOND,
    second: 0,
  };
}

/** One packet. `bytes` may be overwritten after the call: nothing keeps a view of it. */
export function receive(shard: Shard, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  const decoded = decode(bytes);
  if (!decoded.ok) return drop(shard, 'dropMalformed');
  const packet = decoded.value;
  switch (packet.type) {
    case 'HELLO':
      return [cookie(shard, packet.nonce, from, nowMs)];
    case 'LOGIN':
      return login(shard, packet, bytes, from, nowMs);
    case 'ATTACH':
      return attach(shard, packet, bytes, from, nowMs);
    case 'READ':
    case 'PING':
    case 'SERVERS':
    case 'BYE':
      return inSession(shard, packet, bytes, from, nowMs);
    default:
      return drop(shard, 'dropUnexpected');
  }
}

function drop(shard: Shard, reason: DropReason): [] {
  count(shard.counters, reason);
  return [];
}

const tally = (shard: Shard, name: Counter): void => count(shard.counters, name);

/** 52 bytes for a HELLO of 64, a LOGIN of 89 or more, an ATTACH of 81 or more: never longer than the question. */
function cookie(shard: Shard, nonce: Uint8Array, from: Peer, nowMs: number): Effect {
  const made = makeCookie(shard.sip, shard.cookieKey, from, nowMs);
  return { kind: 'send', to: from, bytes: encode({ type: 'COOKIE', session: 0, number: 0, nonce, cookie: made }) };
}

function refuse(nonce: Uint8Array, to: Peer, code: Refusal, retryAfterMs: number, text: string): Effect {
  const bytes = encode({ type: 'REFUSE', session: 0, number: 0, nonce, code, retryAfterMs, text });
  return { kind: 'send', to, bytes };
}

function login(shard: Shard, packet: Login, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  if (!checkCookie(shard.sip, shard.cookieKey, from, packet.cookie, nowMs))
    return [cookie(shard, packet.nonce, from, nowMs)];
  const key = `${peerKey(from)}/${Buffer.from(packet.nonce).toString('hex')}`;
  if (shard.logins.has(key)) return [];
  if (shard.logins.size >= MAX_PENDING_LOGINS)
    return [refuse(packet.nonce, from, 'Busy', BUSY_RETRY_MS, 'too many devices log in at this moment')];
  shard.logins.add(key);
  tally(shard, 'logins');
  return [{ kind: 'login', login: { key, packet: Uint8Array.from(bytes), from } }];
}

function attach(shard: Shard, packet: Attach, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  if (!checkCookie(shard.sip, shard.cookieKey, from, packet.cookie, nowMs))
    return [cookie(shard, packet.nonce, from, nowMs)];
  const opened = openTicket(shard.settings.ring, packet.ticket, Math.floor(shard.wallMs() / 1000));
  if (!opened.ok) return [refuse(packet.nonce, from, 'TicketInvalid', 0, opened.error.message)];
  const ticket = opened.value;
  const sessionKey = Buffer.from(ticket.key, 'base64');
  if (!verify(shard.sip, attachKey(sessionKey), bytes)) return drop(shard, 'dropWrongTag');

  const previous = shard.byPeer.get(peerKey(from));
  if (previous?.clientNonce.equals(packet.nonce)) return [{ kind: 'send', to: from, bytes: previous.attached }];
  const refusal = refusalOf(shard, packet, ticket, previous);
  if (refusal) return [refuse(packet.nonce, from, ...refusal)];

  const gone = previous ? [leave(shard, previous, 'left')] : [];
  const session = open(shard, packet, ticket, sessionKey, from, nowMs);
  tally(shard, 'attaches');
  return [...gone, { kind: 'send', to: from, bytes: session.attached }, event(shard, session, 'attached')];
}

/** To ATTACH and to a renewal. It may be lifted at any time, so the device may come back. */
export const refusedDevice = (device: string): [Refusal, number, string] => [
  'UnknownDevice',
  REFUSED_RETRY_MS,
  `${device} may not stream any more: it or its vDisk was disabled or removed`,
];

/** Why this server does not take the session, in order. Nothing here is about pace: a device that lost its server is never made to wait. */
function refusalOf(
  shard: Shard,
  packet: Attach,
  ticket: Ticket,
  previous: Session | undefined,
): [Refusal, number, string] | undefined {
  const disk = shard.disks.get(refKey(ticket));
  const name = `${ticket.vdisk} version ${ticket.version}`;
  if (shard.settings.refused.has(ticket.device)) return refusedDevice(ticket.device);
  if (ticket.site !== shard.site)
    return ['TicketInvalid', 0, `the ticket is of site ${ticket.site}, this server of ${shard.site}`];
  if (!disk) return ['NoCopy', BUSY_RETRY_MS, `this server has no up-to-date copy of ${name}`];
  if (disk.sizeBytes !== ticket.sizeBytes)
    return ['NoCopy', 0, `${name} has ${disk.sizeBytes} bytes here, the ticket says ${ticket.sizeBytes}`];
  if (shard.settings.state === 'Draining' && packet.role === 'serve' && !previous)
    return ['Draining', 0, 'this server is leaving'];
  if (shard.sessions.size >= MAX_SESSIONS && !previous)
    return ['Busy', BUSY_RETRY_MS, `this server holds ${MAX_SESSIONS} sessions`];
  return undefined;
}

function open(shard: Shard, packet: Attach, ticket: Ticket, sessionKey: Buffer, peer: Peer, nowMs: number): Session {
  let id = 0;
  while (id === 0 || shard.sessions.has(id)) id = shard.random(4).readUInt32BE(0);
  const serverNonce = shard.random(16);
  const keys = trafficKeys(sessionKey, packet.nonce, serverNonce, shard.instance);
  const segmentBytes = Math.min(packet.maxSegmentBytes, shard.maxSegmentBytes);
  const attached = sign(
    shard.sip,
    keys.serverTag,
    encode({
      type: 'ATTACHED',
      session: id,
      number: 1,
      nonce: packet.nonce,
      serverNonce,
      instance: shard.instance,
      segmentBytes,
      mode: shard.mode,
      listVersion: shard.settings.listVersion,
      sizeBytes: ticket.sizeBytes,
    }),
  );
  const session: Session = {
    id,
    peer,
    ticket,
    disk: refKey(ticket),
    keys,
    segmentBytes,
    clientNonce: Buffer.from(packet.nonce),
    attached,
    window: new ReplayWindow(),
    role: packet.role,
    refused: false,
    seenMs: nowMs,
    sent: 1,
  };
  shard.sessions.set(id, session);
  shard.byPeer.set(peerKey(peer), session);
  return session;
}

export function infoOf(session: Session): SessionInfo {
  const { device, mac, vdisk, version } = session.ticket;
  return { device, mac, vdisk, version, role: session.role, address: session.peer };
}

function event(shard: Shard, session: Session, type: SessionEvent['type']): Effect {
  return { kind: 'session', event: { type, session: session.id, at: shard.wallMs(), ...infoOf(session) } };
}

function leave(shard: Shard, session: Session, type: 'left' | 'silent'): Effect {
  shard.sessions.delete(session.id);
  shard.byPeer.delete(peerKey(session.peer));
  return event(shard, session, type);
}

type InSession = Extract<Packet, { type: 'READ' | 'PING' | 'SERVERS' | 'BYE' }>;

function inSession(shard: Shard, packet: InSession, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  const session = shard.sessions.get(packet.session);
  if (!session || session.peer.host !== from.host || session.peer.port !== from.port)
    return unknown(shard, packet, bytes, from);
  if (!verify(shard.sip, session.keys.clientTag, bytes)) return drop(shard, 'dropWrongTag');
  if (!session.window.accept(packet.number)) return drop(shard, 'dropReplayed');
  session.seenMs = nowMs;
  if (session.refused && (packet.type === 'READ' || packet.type === 'PING'))
    return [readError(shard, session, packet.number, 'Revoked')];
  switch (packet.type) {
    case 'READ':
      return [
        ...takeRole(shard, session, packet.hedged ? session.role : 'serve'),
        ...read(shard, session, packet, bytes),
      ];
    case 'PING':
      return [...takeRole(shard, session, packet.role), pong(shard, session, packet)];
    case 'SERVERS':
      return [list(shard, session)];
    case 'BYE':
      return [leave(shard, session, 'left')];
  }
}

/** 32 bytes for a packet of 40 or more. A BYE needs no hint: its sender is leaving. */
function unknown(shard: Shard, packet: InSession, bytes: Buffer, from: Peer): Effect[] {
  count(shard.counters, 'dropUnknownSession');
  if (packet.type === 'BYE' || shard.unknowns <= 0) return [];
  shard.unknowns--;
  tally(shard, 'unknowns');
  const { session, number } = packet;
  const answer = encode({ type: 'UNKNOWN', session, number, echo: bytes.subarray(-TAG_BYTES) });
  return [{ kind: 'send', to: from, bytes: answer }];
}

/** Whoever reads (but for a hedge) is served here, whatever it attached as: this is failover. */
export function takeRole(shard: Shard, session: Session, role: Role): Effect[] {
  if (session.role === role) return [];
  session.role = role;
  return [event(shard, session, 'role')];
}

/** A signed packet of the session; `body` gets its header. */
function answer(shard: Shard, session: Session, body: (header: { session: number; number: number }) => Packet): Effect {
  session.sent++;
  const packet = encode(body({ session: session.id, number: session.sent }));
  return { kind: 'send', to: session.peer, bytes: sign(shard.sip, session.keys.serverTag, packet) };
}

function pong(shard: Shard, session: Session, { opaque }: Ping): Effect {
  const { state, loadPercent, listVersion } = shard.settings;
  return answer(shard, session, (header) => ({ type: 'PONG', ...header, state, loadPercent, listVersion, opaque }));
}

function list(shard: Shard, session: Session): Effect {
  const { servers, listVersion } = shard.settings;
  return answer(shard, session, (header) => ({ type: 'LIST', ...header, listVersion, servers }));
}

/** The disk of the session, if it is served still, to this device, and the range lies within it. */
export function readable(shard: Shard, session: Session, offset: number, length: number): ServedDisk | ReadError {
  const disk = shard.disks.get(session.disk);
  if (!disk || session.refused) return 'Revoked';
  return offset <= disk.sizeBytes && length <= disk.sizeBytes - offset ? disk : 'BadRange';
}

function read(shard: Shard, session: Session, packet: Read, bytes: Buffer): Effect[] {
  const disk = readable(shard, session, packet.offset, packet.length);
  if (typeof disk === 'string') return [readError(shard, session, packet.number, disk)];
  return startRead(shard, session, disk, packet.number, packet.offset, packet.length, bytes.subarray(-TAG_BYTES));
}

/** Hands a READ to the main thread. Beyond the limit it is dropped: the client's time-out doubles, which is what the disk needs. */
export function startRead(
  shard: Shard,
  session: Session,
  disk: ServedDisk,
  request: number,
  offset: number,
  length: number,
  tag: Uint8Array,
): Effect[] {
  if (shard.reads.size >= MAX_PENDING_READS) return drop(shard, 'dropBusy');
  const id = shard.nextRead++;
  const pending = { id, session: session.id, disk: disk.id, request, offset, length, tag: Buffer.from(tag) };
  shard.reads.set(id, pending);
  return [{ kind: 'read', read: pending }];
}

/** WAIT for a read that is still pending; nothing otherwise. */
export function wait(shard: Shard, read: PendingRead): Effect[] {
  const session = shard.sessions.get(read.session);
  if (!session || !shard.reads.has(read.id)) return [];
  tally(shard, 'waits');
  return [answer(shard, session, (header) => ({ type: 'WAIT', ...header, request: read.request }))];
}

function readError(shard: Shard, session: Session, request: number, code: ReadError): Effect {
  tally(shard, 'readErrors');
  return answer(shard, session, (header) => ({ type: 'ERROR', ...header, request, code, retryAfterMs: 0 }));
}

/** An order of the main thread. */
export function obey(shard: Shard, order: Order, nowMs: number): Effect[] {
  switch (order.kind) {
    case 'settings':
      shard.settings = { ...shard.settings, ...order.settings };
      if (order.settings.disks) shard.disks = diskTable(order.settings.disks);
      if (order.settings.refused)
        for (const session of shard.sessions.values())
          session.refused = order.settings.refused.has(session.ticket.device);
      return [];
    case 'loginDone':
      shard.logins.delete(order.key);
      return order.bytes ? [{ kind: 'send', to: order.to, bytes: Buffer.from(order.bytes) }] : [];
    case 'readDone': {
      const pending = shard.reads.get(order.read);
      shard.reads.delete(order.read);
      const session = pending && shard.sessions.get(pending.session);
      if (!session) return [];
      if (session.refused) return [readError(shard, session, pending.request, 'Revoked')];
      if (!order.bytes) return [readError(shard, session, pending.request, 'ReadFailed')];
      return [{ kind: 'data', session, read: pending, bytes: order.bytes }];
    }
    case 'move': {
      const session = shard.sessions.get(order.session);
      if (!session) return [];
      session.move = { server: order.server, untilMs: nowMs + order.withinMs, nextMs: nowMs };
      return moves(shard, session, nowMs);
    }
    case 'bye':
      return [...shard.sessions.values()].flatMap((session) => [
        answer(shard, session, (header) => ({ type: 'BYE', ...header, reason: order.reason })),
        leave(shard, session, 'left'),
      ]);
  }
}

function moves(shard: Shard, session: Session, nowMs: number): Effect[] {
  const { move } = session;
  if (!move || nowMs < move.nextMs || nowMs > move.untilMs) return [];
  move.nextMs = nowMs + MOVE_EVERY_MS;
  tally(shard, 'moves');
  const { server, untilMs } = move;
  return [answer(shard, session, (header) => ({ type: 'MOVE', ...header, server, withinMs: untilMs - nowMs }))];
}

/** Timers: sends MOVE again, and forgets who has been silent. Call it each TICK_MS. */
export function tick(shard: Shard, nowMs: number): Effect[] {
  const second = Math.floor(nowMs / 1000);
  if (second !== shard.second) {
    shard.second = second;
    shard.unknowns = UNKNOWNS_PER_SECOND;
  }
  const effects: Effect[] = [];
  for (const session of shard.sessions.values()) {
    if (nowMs - session.seenMs > SILENT_MS) effects.push(leave(shard, session, 'silent'));
    else if (session.move) effects.push(...moves(shard, session, nowMs));
  }
  return effects;
}
