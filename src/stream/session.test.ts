/** What needs a clock or a crowd; the rest of session.ts is told by the contract of the transports (test/contract/stream.ts). */
import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { sealBootToken, sealTicket } from '../farm/token.ts';
import type { KeyRing } from '../kit/seal.ts';
import { makeCookie, type Peer } from './cookie.ts';
import { makeCounters, sumCounters } from './counters.ts';
import { attachKey, sign, trafficKeys } from './keys.ts';
import { MAX_PENDING_LOGINS, MAX_PENDING_READS, MOVE_EVERY_MS, SILENT_MS, UNKNOWNS_PER_SECOND } from './limits.ts';
import { type Attached, decode, encode, type Packet } from './packet.ts';
import { obey, receive, tick } from './session.ts';
import { type Effect, makeShard, type Shard } from './shard.ts';
import { siphash } from './siphash.ts';

const RING: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 7)]]) };
const REF = { vdisk: 'lab', version: 0, manifest: 'ab' };
const SESSION_KEY = Buffer.alloc(32, 4);
const WALL = 1_800_000_000_000;
const PEER: Peer = { host: '10.0.0.9', port: 1_000 };

function aShard(): Shard {
  return makeShard(
    {
      site: 'paris',
      mode: 'Trusted',
      instance: Buffer.alloc(8, 1),
      cookieKey: Buffer.alloc(16, 2),
      maxSegmentBytes: 1_408,
    },
    {
      ring: RING,
      disks: [{ id: 1, ref: REF, sizeBytes: 1 << 20, extents: [] }],
      servers: [],
      listVersion: 1,
      state: 'Streaming',
      loadPercent: 0,
      refused: new Set(),
    },
    { sip: siphash, random: randomBytes, counters: makeCounters(), wallMs: () => WALL },
  );
}

function aTicket(expires = WALL / 1000 + 1): Uint8Array {
  const key = SESSION_KEY.toString('base64');
  return sealTicket(RING, { ...REF, device: 'pc1', mac: 'm', site: 'paris', sizeBytes: 1 << 20, key, expires });
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
  return receive(shard, sign(siphash, attachKey(SESSION_KEY), packet), peer, nowMs);
}

/** Attaches, and gives a maker of this session's packets. */
function attached(shard: Shard, peer = PEER): { id: number; packet: (fields: object) => Buffer } {
  const answer = sent(attach(shard, peer))[0] as Attached;
  const keys = trafficKeys(SESSION_KEY, answer.nonce, answer.serverNonce, answer.instance);
  let number = 0;
  const packet = (fields: object): Buffer =>
    sign(siphash, keys.clientTag, encode({ session: answer.session, number: ++number, ...fields } as Packet));
  return { id: answer.session, packet };
}

const PING = { type: 'PING', role: 'serve', listVersion: 0, opaque: new Uint8Array(8) };
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

test('a ticket is judged by the wall clock, a session by one that never jumps', () => {
  const shard = aShard();
  expect(sent(attach(shard, PEER, 5, aTicket(WALL / 1000)))).toMatchObject([{ type: 'REFUSE', code: 'TicketInvalid' }]);
  expect(sent(attach(shard, PEER, 5, aTicket(WALL / 1000 + 1)))).toMatchObject([{ type: 'ATTACHED' }]);
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

test('UNKNOWN has a limit a second', () => {
  const shard = aShard();
  const packet = encode({ type: 'READ', session: 9, number: 1, offset: 0, length: 512, hedged: false });
  const answers = (nowMs: number): number => sent(receive(shard, packet, PEER, nowMs)).length;
  tick(shard, 1_000);
  expect(Array.from({ length: UNKNOWNS_PER_SECOND + 10 }, () => answers(1_000)).filter(Boolean)).toHaveLength(
    UNKNOWNS_PER_SECOND,
  );
  tick(shard, 2_000);
  expect(answers(2_000)).toBe(1);
});

test('the same LOGIN is decided once at a time, and many at a time are Busy', () => {
  const shard = aShard();
  const login = (n: number): Effect[] => {
    const nonce = Buffer.alloc(16);
    nonce.writeUInt32BE(n, 0);
    const cookie = makeCookie(siphash, shard.cookieKey, PEER, 0);
    const [share, token] = [Buffer.alloc(32), aBootToken()];
    const fields = { session: 0, number: 0, nonce, cookie, renew: false, redirected: false, share, token };
    return receive(shard, encode({ type: 'LOGIN', ...fields }), PEER, 0);
  };
  const [first] = login(0);
  expect(first).toMatchObject({ kind: 'login' });
  expect(login(0)).toEqual([]);
  for (let n = 1; n < MAX_PENDING_LOGINS; n++) login(n);
  expect(sent(login(5_000))).toMatchObject([{ type: 'REFUSE', code: 'Busy' }]);
  if (first?.kind === 'login') obey(shard, { kind: 'loginDone', key: first.login.key, bytes: undefined, to: PEER }, 0);
  expect(login(0)).toMatchObject([{ kind: 'login' }]);
});

test('reads that wait for a disk have a limit; beyond it a READ is dropped, not queued', () => {
  const shard = aShard();
  const { packet } = attached(shard);
  const reads = Array.from({ length: MAX_PENDING_READS + 5 }, () => receive(shard, packet(READ), PEER, 0));
  expect(reads.flat().filter(({ kind }) => kind === 'read')).toHaveLength(MAX_PENDING_READS);
  expect(sumCounters([shard.counters]).dropBusy).toBe(5);
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
