/** The sessions of one thread: what is known of each, and what every step on them needs. What packets do to them: admission.ts, session.ts. */
import type { BootToken, VersionRef } from '../farm/token.ts';
import type { Leaves } from '../image/disk.ts';
import { Shares } from '../kit/budget.ts';
import type { KeyRing } from '../kit/seal.ts';
import type { Own } from '../net/source.ts';
import type { Peer } from './cookie.ts';
import { type Counter, count, type DropReason } from './counters.ts';
import type { ExtentTable } from './extents.ts';
import { type Hkdf, sign, type TrafficKeys } from './keys.ts';
import {
  ATTACH_RATE,
  ATTACH_RATE_OF_ALL,
  LOGIN_RATE,
  LOGIN_RATE_OF_ALL,
  UNKNOWN_RATE,
  UNKNOWN_RATE_OF_ALL,
} from './limits.ts';
import {
  type ByeReason,
  encode,
  type Mode,
  type Packet,
  type Role,
  type ServerEntry,
  type ServerState,
  type Suite,
} from './packet.ts';
import type { Sip } from './siphash.ts';
import type { ReplayWindow } from './window.ts';

/** A disk as a thread knows it; the main thread holds the Disk itself under the same id. */
export interface ServedDisk {
  readonly id: number;
  /** `refKey` of `ref`, which all its sessions share. */
  readonly key: string;
  /** What it lies in, with others that are silent when it is. */
  readonly folder: string;
  readonly ref: VersionRef;
  readonly sizeBytes: number;
  /** What native code may read by itself. */
  readonly extents: ExtentTable;
  /** What its answers are tagged by in suite 3, without a look at the data. */
  readonly leaves?: Leaves;
}

/** How answers of a disk are tagged. */
export const suiteOf = (mode: Mode, disk: Pick<ServedDisk, 'leaves'> | undefined): Suite =>
  mode === 'Authenticated' && disk?.leaves ? 'HashThenMac' : 'Aead';

/** What the main thread tells a thread, at its start and whenever it changes. */
export interface Settings {
  readonly ring: KeyRing;
  readonly servers: readonly ServerEntry[];
  readonly listVersion: number;
  readonly state: ServerState;
  readonly loadPercent: number;
  /** Claims (`farm/refusal.ts`) whose right to read ended while they stream. */
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
  readonly uuid?: string;
  readonly vdisk: string;
  readonly version: number;
  readonly role: Role;
  readonly address: Peer;
}

export interface SessionEvent extends SessionInfo {
  /** `role`: between serve and stand-by. `running`: has sent `RUNNING_PACKETS`. `silent`: said nothing for 30 s and counts as gone. */
  readonly type: 'attached' | 'role' | 'running' | 'left' | 'silent';
  /** Unique among the sessions of a thread. */
  readonly session: number;
  /** Unix milliseconds. */
  readonly at: number;
}

export interface Session {
  readonly id: number;
  readonly peer: Peer;
  readonly device: string;
  readonly mac: string;
  readonly uuid?: string;
  /** Of its disk, where that is served still or not. */
  readonly ref: VersionRef;
  readonly disk: string;
  readonly keys: TrafficKeys;
  readonly segmentBytes: number;
  /** Aead also in mode Trusted, which tags no data. */
  readonly suite: Suite;
  readonly clientNonce: Uint8Array;
  /** Of the sessions before it at this address, newest first. */
  readonly earlierNonces: readonly Buffer[];
  /** Sent again when the same ATTACH comes again. */
  readonly attached: Buffer;
  readonly window: ReplayWindow;
  role: Role;
  /** What the main thread was told last, and when. */
  toldRole: Role;
  toldRoleMs: number;
  /** Its READs that wait for their disk. */
  waiting: number;
  /** Its claim is among the refused ones: a field, so that the fast path looks at nothing else. */
  refused: boolean;
  seenMs: number;
  /** The main thread was told that it runs. */
  toldRunning: boolean;
  /** As its PINGs told, and when that was passed on last. */
  badReads: number;
  toldBadMs: number;
  /** The last packet number sent. */
  sent: number;
  /** What LIST says to its device, and of which servers it was made. */
  list?: { readonly of: readonly ServerEntry[]; readonly told: readonly ServerEntry[] };
  move?: { readonly server: ServerEntry; readonly untilMs: number; nextMs: number };
}

/** A READ that waits for its disk. */
export interface PendingRead {
  readonly id: number;
  readonly session: number;
  readonly disk: number;
  readonly folder: string;
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
  | { readonly kind: 'session'; readonly event: SessionEvent }
  /** A device got wrong data of a version from us, `reads` times more. */
  | { readonly kind: 'badReads'; readonly ref: VersionRef; readonly device: string; readonly reads: number };

/** A LOGIN whose cookie is right and whose token or ticket opened: the main thread decides it. */
export interface PendingLogin {
  /** Address and nonce: the same LOGIN again is not decided twice at a time. */
  readonly key: string;
  readonly from: Peer;
  readonly nonce: Uint8Array;
  /** The client's. */
  readonly share: Uint8Array;
  readonly redirected: boolean;
  readonly token: BootToken;
  /** In a renewal: the session key of the ticket. */
  readonly renews: Uint8Array | undefined;
}

export type Order =
  /** Only what changed. */
  | { readonly kind: 'settings'; readonly settings: Partial<Settings>; readonly id: number }
  /** Only what changed: disks that are new, or others than before under their key; keys of disks that went. A thread begins with none. */
  | {
      readonly kind: 'disks';
      readonly served: readonly ServedDisk[];
      readonly gone: readonly string[];
      readonly id: number;
    }
  | { readonly kind: 'loginDone'; readonly key: string; readonly bytes: Uint8Array | undefined; readonly to: Peer }
  | { readonly kind: 'readDone'; readonly read: number; readonly bytes: Uint8Array | undefined }
  | { readonly kind: 'move'; readonly session: number; readonly server: ServerEntry; readonly withinMs: number }
  /** Without a session: to all of them. */
  | { readonly kind: 'bye'; readonly reason: ByeReason; readonly session?: number };

/** The state of one thread. */
export interface Shard extends Identity {
  readonly sip: Sip;
  readonly hkdf: Hkdf;
  /** Where the thread's socket listens. */
  readonly own: Own;
  /** Unix milliseconds, for the life of tickets and for events. All other times are of a clock that never jumps. */
  readonly wallMs: () => number;
  readonly random: (bytes: number) => Buffer;
  readonly counters: Float64Array;
  settings: Settings;
  /** By `key`. */
  readonly disks: Map<string, ServedDisk>;
  readonly sessions: Map<number, Session>;
  readonly byPeer: Map<string, Session>;
  /** Those of which something is to be told later: to them that they shall move, or of them their role. */
  readonly restless: Set<Session>;
  /** When all sessions were looked at for who is silent. */
  lookedMs: number;
  readonly logins: Set<string>;
  readonly loginShares: Shares;
  readonly attachShares: Shares;
  readonly unknownShares: Shares;
  readonly reads: Map<number, PendingRead>;
  /** How many of these are of a folder. */
  readonly waiting: Map<string, number>;
  nextRead: number;
}

export const peerKey = ({ host, port }: Peer): string => `${host}/${port}`;

export function makeShard(
  identity: Identity,
  settings: Settings,
  edge: Pick<Shard, 'sip' | 'hkdf' | 'random' | 'counters' | 'wallMs' | 'own'>,
): Shard {
  return {
    ...identity,
    ...edge,
    settings,
    disks: new Map(),
    sessions: new Map(),
    byPeer: new Map(),
    restless: new Set(),
    lookedMs: Number.NEGATIVE_INFINITY,
    logins: new Set(),
    loginShares: new Shares(LOGIN_RATE, LOGIN_RATE_OF_ALL),
    attachShares: new Shares(ATTACH_RATE, ATTACH_RATE_OF_ALL),
    unknownShares: new Shares(UNKNOWN_RATE, UNKNOWN_RATE_OF_ALL),
    reads: new Map(),
    waiting: new Map(),
    nextRead: 1,
  };
}

export function drop(shard: Shard, reason: DropReason): [] {
  count(shard.counters, reason);
  return [];
}

export const tally = (shard: Shard, name: Counter): void => count(shard.counters, name);

function infoOf(session: Session): SessionInfo {
  const { device, mac, uuid, ref, role, peer } = session;
  const { vdisk, version } = ref;
  return { device, mac, ...(uuid === undefined ? {} : { uuid }), vdisk, version, role, address: peer };
}

export function event(shard: Shard, session: Session, type: SessionEvent['type']): Effect {
  return { kind: 'session', event: { type, session: session.id, at: shard.wallMs(), ...infoOf(session) } };
}

export function leave(shard: Shard, session: Session, type: 'left' | 'silent'): Effect {
  shard.sessions.delete(session.id);
  shard.byPeer.delete(peerKey(session.peer));
  shard.restless.delete(session);
  return event(shard, session, type);
}

/** A signed packet of the session; `body` gets its header. */
export function answer(
  shard: Shard,
  session: Session,
  body: (header: { session: number; number: number }) => Packet,
): Effect {
  session.sent++;
  const packet = encode(body({ session: session.id, number: session.sent }));
  return { kind: 'send', to: session.peer, bytes: sign(shard.sip, session.keys.serverTag, packet) };
}
