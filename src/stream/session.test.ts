/** What needs a clock or a crowd; the rest of session.ts is told by the contract of the transports (test/contract/stream.ts). */
import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { refKey, sealBootToken, sealTicket } from '../farm/token.ts';
import type { KeyRing } from '../kit/seal.ts';
import { ownOf } from '../net/source.ts';
import { makeCookie, type Peer } from './cookie.ts';
import { makeCounters, sumCounters } from './counters.ts';
import { extentTable } from './extents.ts';
import { attachKey, hkdf, sign, trafficKeys } from './keys.ts';
import {
  MAX_PENDING_LOGINS,
  MAX_PENDING_READS,
  MAX_SESSION_READS,
  MOVE_EVERY_MS,
  RUNNING_PACKETS,
  SILENT_MS,
  UNKNOWN_RATE,
  UNKNOWN_RATE_OF_ALL,
} from './limits.ts';
import { type Attached, decode, encode, type Packet } from './packet.ts';
import { obey, receive, tick } from './session.ts';
import { type Effect, makeShard, type ServedDisk, type Shard } from './shard.ts';
import { siphash } from './siphash.ts';

const RING: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 7)]]) };
const REF = { vdisk: 'lab', version: 0, manifest: 'ab' };
const SESSION_KEY = Buffer.alloc(32, 4);
const WALL = 1_800_000_000_000;
const PEER: Peer = { host: '10.0.0.9', port: 1_000 };

function aShard(): Shard {
  const shard = makeShard(
    {
      site: 'paris',
      mode: 'Trusted',
      instance: Buffer.alloc(8, 1),
      cookieKey: Buffer.alloc(16, 2),
      maxSegmentBytes: 1_408,
    },
    {
      ring: RING,
      servers: [],
      listVersion: 1,
      state: 'Streaming',
      loadPercent: 0,
      refused: new Set(),
    },
    {
      sip: siphash,
      hkdf,
      random: randomBytes,
      counters: makeCounters(),
      wallMs: () => WALL,
      own: ownOf('10.0.0.1', [6910]),
    },
  );
  obey(shard, { kind: 'disks', served: [aDisk()], gone: [], id: 1 }, 0);
  return shard;
}

const aDisk = (ref = REF, id = 1): ServedDisk => ({
  id,
  key: refKey(ref),
  folder: `/srv/${ref.vdisk}`,
  ref,
  sizeBytes: 1 << 20,
  extents: extentTable([]),
});

function aTicket(expires = WALL / 1000 + 1, ref = REF): Uint8Array {
  const key = SESSION_KEY.toString('base64');
  return sealTicket(RING, { ...ref, device: 'pc1', mac: 'm', site: 'paris', sizeBytes: 1 << 20, key, expires });
}

function aBootToken(expires = WALL / 1000 + 1): Uint8Array {
  return sealBootToken(RING, { ...REF, device: 'pc1', mac: 'm', site: 'paris', expires });
}

const sent = (effects: readonly Effect[]): Packet[] =>
  effects.flatMap((effect) => {
    if (effect.kind !== 'send') return [];
    const decoded = decode(effect.bytes);
    return decoded.ok ? [decoded.value] : [];
  });
const told = (effects: readonly Effect[]): string[] =>
  effects.flatMap((effect) => (effect.kind === 'session' ? [effect.event.type] : []));

function attach(shard: Shard, peer = PEER, nowMs = 0, ticket = aTicket()): Effect[] {
  return receive(shard, attachPacket(shard, peer, nowMs, ticket), peer, nowMs);
}

function attachPacket(shard: Shard, peer = PEER, nowMs = 0, ticket = aTicket()): Buffer {
  const cookie = makeCookie(siphash, shard.cookieKey, peer, nowMs);
  const nonce = randomBytes(16);
  const packet = encode({
    type: 'ATTACH',
    session: 0,
    number: 0,
    nonce,
    cookie,
    maxSegmentBytes: 1_408,
    role: 'serve',
    ticket,
  });
  return sign(siphash, attachKey(SESSION_KEY), packet);
}

/** Attaches, and gives a maker of this session's packets. */
function attached(shard: Shard, peer = PEER, ref = REF): { id: number; packet: (fields: object) => Buffer } {
  const answer = sent(attach(shard, peer, 0, aTicket(undefined, ref)))[0] as Attached;
  const keys = trafficKeys(SESSION_KEY, answer.nonce, answer.serverNonce, answer.instance);
  let number = 0;
  const packet = (fields: object): Buffer =>
    sign(siphash, keys.clientTag, encode({ session: answer.session, number: ++number, ...fields } as Packet));
  return { id: answer.session, packet };
}

const PING = { type: 'PING', role: 'serve', badReads: 0, listVersion: 0, opaque: new Uint8Array(8) };
const READ = { type: 'READ', offset: 0, length: 512, hedged: false };

test.each([
  { name: 'said nothing for 30 s', pingAt: 0, tickAt: SILENT_MS, gone: false },
  { name: 'said nothing for longer', pingAt: 0, tickAt: SILENT_MS + 1, gone: true },
  { name: 'said something in between', pingAt: 1_000, tickAt: SILENT_MS + 1_000, gone: false },
])('a session that $name is gone: $gone', ({ pingAt, tickAt, gone }) => {
  const shard = aShard();
  const { packet } = attached(shard);
  receive(shard, packet(PING), PEER, pingAt);
  expect(told(tick(shard, tickAt))).toEqual(gone ? ['silent'] : []);
  expect(shard.sessions.size).toBe(gone ? 0 : 1);
});

test('a session that has sent so many packets runs: told once, when it is looked at, and never of a stand-by', () => {
  const shard = aShard();
  const { packet } = attached(shard);
  for (let n = 1; n < RUNNING_PACKETS; n++) receive(shard, packet(PING), PEER, 0);
  expect(told(tick(shard, 1_000))).toEqual([]);
  expect(told(receive(shard, packet({ ...PING, role: 'standby' }), PEER, 1_500))).toEqual(['role']);
  expect(told(tick(shard, 2_000))).toEqual([]);
  receive(shard, packet(PING), PEER, 3_000);
  expect(told(tick(shard, 4_000))).toEqual(['running']);
  expect(told(tick(shard, 5_000))).toEqual([]);
});

test('PING tells of bad reads: what is new is counted and told, once, and once a second', () => {
  const shard = aShard();
  const { packet } = attached(shard);
  let now = 0;
  const bad = (badReads: number, ms = 1_000): unknown[] => {
    now += ms;
    return receive(shard, packet({ ...PING, badReads }), PEER, now).filter(({ kind }) => kind === 'badReads');
  };
  expect(bad(0)).toEqual([]);
  expect(bad(3)).toMatchObject([{ ref: { vdisk: 'lab' }, device: 'pc1', reads: 3 }]);
  expect([bad(3), bad(2)]).toEqual([[], []]);
  expect(bad(4)).toMatchObject([{ reads: 1 }]);
  expect(bad(9, 999)).toEqual([]);
  expect(bad(9, 1)).toMatchObject([{ reads: 5 }]);
  expect(bad(65_535)).toMatchObject([{ reads: 65_526 }]);
  expect(sumCounters([shard.counters]).badReads).toBe(65_535);
});

test('a ticket is judged by the wall clock, a session by one that never jumps', () => {
  const shard = aShard();
  expect(sent(attach(shard, PEER, 5, aTicket(WALL / 1000)))).toMatchObject([{ type: 'REFUSE', code: 'TicketInvalid' }]);
  expect(sent(attach(shard, PEER, 5, aTicket(WALL / 1000 + 1)))).toMatchObject([{ type: 'ATTACHED' }]);
});

test.each([
  { offers: 384, answer: { type: 'REFUSE', code: 'SegmentTooSmall', retryAfterMs: 0 } },
  { offers: 448, answer: { type: 'ATTACHED', segmentBytes: 448 } },
  { offers: 8_832, answer: { type: 'ATTACHED', segmentBytes: 1_408 } },
])('a client that takes segments of $offers bytes is told: $answer', ({ offers, answer }) => {
  const shard = aShard();
  const packet = attachPacket(shard);
  packet.writeUInt16BE(offers, 54);
  const answers = receive(shard, sign(siphash, attachKey(SESSION_KEY), packet), PEER, 0);
  expect(sent(answers)).toMatchObject([answer]);
});

test('MOVE is said each 250 ms until its time is over', () => {
  const shard = aShard();
  const { id } = attached(shard);
  const server = { host: '10.0.0.2', port: 6910, state: 'Streaming' } as const;
  const first = obey(shard, { kind: 'move', session: id, server, withinMs: 600 }, 0);
  expect(sent(first)).toMatchObject([{ type: 'MOVE', server, withinMs: 600 }]);
  const times = Array.from({ length: 10 }, (_, n) => n * 100 + 100);
  const again = times.filter((at) => sent(tick(shard, at)).length > 0);
  expect(again).toEqual([300, 600]);
  expect(again.length).toBeLessThanOrEqual(600 / MOVE_EVERY_MS);
});

test('of a site of 256 servers LIST tells a device of 20', () => {
  const shard = aShard();
  const servers = Array.from({ length: 256 }, (_, index) => ({
    host: `10.77.0.${index}`,
    port: 6910,
    state: index < 100 ? ('Streaming' as const) : ('Unreachable' as const),
  }));
  obey(shard, { kind: 'settings', settings: { servers, listVersion: 2 }, id: 1 }, 0);
  const { packet } = attached(shard);
  const [list] = sent(receive(shard, packet({ type: 'SERVERS', listVersion: 1 }), PEER, 0));
  if (list?.type !== 'LIST') throw new Error(`no LIST: ${list?.type}`);
  expect(list.servers).toHaveLength(20);
  expect(list.servers.every(({ state }) => state === 'Streaming')).toBe(true);
});

test('LIST is made once a version, however often it is asked for', () => {
  const shard = aShard();
  let looks = 0;
  const entry = (host: string) => ({
    port: 6910,
    state: 'Streaming' as const,
    get host() {
      looks++;
      return host;
    },
  });
  const { packet } = attached(shard);
  const looksOf = (): number => {
    const before = looks;
    expect(sent(receive(shard, packet({ type: 'SERVERS', listVersion: 1 }), PEER, 0))).toMatchObject([
      { type: 'LIST' },
    ]);
    return looks - before;
  };
  for (const listVersion of [2, 3]) {
    const servers = Array.from({ length: 256 }, (_, index) => entry(`10.77.0.${index}`));
    obey(shard, { kind: 'settings', settings: { servers, listVersion }, id: 1 }, 0);
    expect(looksOf()).toBeGreaterThan(256);
    expect(looksOf()).toBeLessThan(100);
  }
});

test('an ATTACH that comes again after a later one ends nothing, and opens nothing', () => {
  const shard = aShard();
  const attaches = Array.from({ length: 3 }, () => attachPacket(shard));
  for (const bytes of attaches) receive(shard, bytes, PEER, 0);
  const [id] = shard.sessions.keys();
  for (const bytes of attaches.slice(0, 2)) expect(receive(shard, bytes, PEER, 1)).toEqual([]);
  expect([...shard.sessions.keys()]).toEqual([id]);
  expect(sent(receive(shard, attaches[2] ?? Buffer.alloc(0), PEER, 1))).toMatchObject([
    { type: 'ATTACHED', session: id },
  ]);
});

test('UNKNOWN has a limit a second, and a sender a share of it', () => {
  const shard = aShard();
  const packet = encode({ type: 'READ', session: 9, number: 1, offset: 0, length: 512, hedged: false });
  /** How many of `times` packets of each of so many senders are answered. */
  const answers = (times: number, nowMs: number, senders = 1): number => {
    let sum = 0;
    for (let n = 0; n < times * senders; n++)
      sum += sent(receive(shard, packet, { ...PEER, host: `10.1.0.${n % senders}` }, nowMs)).length;
    return sum;
  };
  expect(answers(9_999, 1_000)).toBe(UNKNOWN_RATE.burst);
  expect(sent(receive(shard, packet, PEER, 1_000))).toHaveLength(1);
  expect(answers(999, 1_000, 99)).toBe(UNKNOWN_RATE_OF_ALL.burst - UNKNOWN_RATE.burst - 1);
  expect(answers(999, 2_000)).toBe(UNKNOWN_RATE.perSecond);
});

test('the same LOGIN is decided once at a time, and many at a time are Busy', () => {
  const shard = aShard();
  const login = (n: number): Effect[] => {
    const nonce = Buffer.alloc(16);
    nonce.writeUInt32BE(n, 0);
    const peer = { ...PEER, host: `10.0.${n >> 8}.${n & 255 || 9}` };
    const cookie = makeCookie(siphash, shard.cookieKey, peer, 0);
    const [share, token] = [Buffer.alloc(32), aBootToken()];
    const fields = { session: 0, number: 0, nonce, cookie, renew: false, redirected: false, share, token };
    return receive(shard, encode({ type: 'LOGIN', ...fields }), peer, 0);
  };
  const [first] = login(0);
  expect(first).toMatchObject({ kind: 'login' });
  expect(login(0)).toEqual([]);
  for (let n = 1; n < MAX_PENDING_LOGINS; n++) login(n);
  expect(sent(login(5_000))).toMatchObject([{ type: 'REFUSE', code: 'Busy' }]);
  if (first?.kind === 'login') obey(shard, { kind: 'loginDone', key: first.login.key, bytes: undefined, to: PEER }, 0);
  expect(login(0)).toMatchObject([{ kind: 'login' }]);
});

test('reads that wait for a disk have a limit a session, and one a folder; beyond it a READ is dropped, not queued, and those of other folders are not', () => {
  const shard = aShard();
  const other = { ...REF, vdisk: 'other' };
  obey(shard, { kind: 'disks', served: [aDisk(other, 2)], gone: [], id: 2 }, 0);
  const peers = Array.from({ length: MAX_PENDING_READS / 2 / MAX_SESSION_READS + 1 }, (_, n) => ({
    ...PEER,
    port: n + 1,
  }));
  const waiting = peers.map((peer) => {
    const { packet } = attached(shard, peer);
    const effects = Array.from({ length: MAX_SESSION_READS + 5 }, () => receive(shard, packet(READ), peer, 0)).flat();
    return { peer, packet, reads: effects.flatMap((effect) => (effect.kind === 'read' ? [effect.read.id] : [])) };
  });
  expect(waiting.map(({ reads }) => reads.length)).toEqual([...peers.slice(1).map(() => MAX_SESSION_READS), 0]);
  expect(sumCounters([shard.counters]).dropBusy).toBe(5 * peers.length + MAX_SESSION_READS);
  const elsewhere = attached(shard, { ...PEER, port: 4_096 }, other);
  expect(receive(shard, elsewhere.packet(READ), { ...PEER, port: 4_096 }, 0)).toMatchObject([{ kind: 'read' }]);
  const [{ peer, packet, reads } = { peer: PEER, packet: () => Buffer.alloc(0), reads: [] }] = waiting;
  obey(shard, { kind: 'readDone', read: reads[0] ?? 0, bytes: Buffer.alloc(512) }, 0);
  expect(receive(shard, packet(READ), peer, 0)).toMatchObject([{ kind: 'read' }]);
});

test('a role that flips is told at most once a second, and as it is then', () => {
  const shard = aShard();
  const { packet } = attached(shard);
  const flips = Array.from({ length: 1_001 }, (_, n) => n * 5);
  const events = flips.flatMap((at) => [
    ...receive(shard, packet({ ...PING, role: at % 2 ? 'serve' : 'standby' }), PEER, at),
    ...(at % 100 === 0 ? tick(shard, at) : []),
  ]);
  expect(told(events).length).toBeLessThanOrEqual(6);
  receive(shard, packet({ ...PING, role: 'standby' }), PEER, 5_001);
  const last = [...events, ...tick(shard, 9_000)].filter(({ kind }) => kind === 'session').at(-1);
  expect(last).toMatchObject({ event: { type: 'role', role: 'standby' } });
});

test('an answer for a session that has gone meanwhile goes nowhere', () => {
  const shard = aShard();
  const { packet } = attached(shard);
  const [read] = receive(shard, packet(READ), PEER, 0).filter(({ kind }) => kind === 'read');
  receive(shard, packet({ type: 'BYE', reason: 'Leaving' }), PEER, 0);
  if (read?.kind !== 'read') throw new Error('no read');
  expect(obey(shard, { kind: 'readDone', read: read.read.id, bytes: Buffer.alloc(512) }, 0)).toEqual([]);
  expect(shard.reads.size).toBe(0);
});
