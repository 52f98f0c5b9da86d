/**
 * What one thread of a server decides: every packet and every order of the main thread is a step that changes the thread's state (shard.ts) and gives
 * effects. No sockets, files or timers here. The state is changed in place (a thread holds up to 65,536 sessions); nothing else may touch it.
 */

import { claimOf } from '../farm/refusal.ts';
import { shortlist } from '../farm/shortlist.ts';
import { badSource } from '../net/source.ts';
import { attach, cookie, login } from './admission.ts';
import type { Peer } from './cookie.ts';
import { count } from './counters.ts';
import { verify } from './keys.ts';
import { ROLE_EVERY_MS, RUNNING_PACKETS, SILENT_LOOK_MS, SILENT_MS } from './limits.ts';
import { moves } from './moves.ts';
import { decode, encode, type Packet, type Ping, type Role } from './packet.ts';
import { endRead, read, readError } from './reads.ts';
import { answer, drop, type Effect, event, leave, type Order, type Session, type Shard, tally } from './shard.ts';
import { TAG_BYTES } from './wire.ts';

/** One packet. `bytes` may be overwritten after the call: nothing keeps a view of it. */
export function receive(shard: Shard, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  if (badSource({ address: from.host, port: from.port }, shard.own)) return drop(shard, 'dropBadSource');
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

type InSession = Extract<Packet, { type: 'READ' | 'PING' | 'SERVERS' | 'BYE' }>;

function inSession(shard: Shard, packet: InSession, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  const session = shard.sessions.get(packet.session);
  if (!session || session.peer.host !== from.host || session.peer.port !== from.port)
    return unknown(shard, packet, bytes, from, nowMs);
  if (!verify(shard.sip, session.keys.clientTag, bytes)) return drop(shard, 'dropWrongTag');
  if (!session.window.accept(packet.number)) return drop(shard, 'dropReplayed');
  session.seenMs = nowMs;
  if (session.refused && (packet.type === 'READ' || packet.type === 'PING'))
    return [readError(shard, session, packet.number, 'Revoked')];
  switch (packet.type) {
    case 'READ':
      return [
        ...takeRole(shard, session, packet.hedged ? session.role : 'serve', nowMs),
        ...read(shard, session, packet, bytes),
      ];
    case 'PING':
      return [
        ...takeRole(shard, session, packet.role, nowMs),
        ...badReads(shard, session, packet, nowMs),
        pong(shard, session, packet),
      ];
    case 'SERVERS':
      return [list(shard, session)];
    case 'BYE':
      return [leave(shard, session, 'left')];
  }
}

/** 32 bytes for a packet of 40 or more. A BYE needs no hint: its sender is leaving. */
function unknown(shard: Shard, packet: InSession, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  count(shard.counters, 'dropUnknownSession');
  if (packet.type === 'BYE' || !shard.unknownShares.spend(from.host, nowMs)) return [];
  tally(shard, 'unknowns');
  const { session, number } = packet;
  const answer = encode({ type: 'UNKNOWN', session, number, echo: bytes.subarray(-TAG_BYTES) });
  return [{ kind: 'send', to: from, bytes: answer }];
}

/** Whoever reads (but for a hedge) is served here, whatever it attached as: this is failover. */
export function takeRole(shard: Shard, session: Session, role: Role, nowMs: number): Effect[] {
  if (session.role === role) return [];
  session.role = role;
  const told = tellRole(shard, session, nowMs);
  if (session.role !== session.toldRole) shard.restless.add(session);
  return told;
}

/** At once if it can, else by `tick`; a role that has changed back by then is not told. */
function tellRole(shard: Shard, session: Session, nowMs: number): Effect[] {
  if (session.role === session.toldRole || nowMs - session.toldRoleMs < ROLE_EVERY_MS) return [];
  session.toldRole = session.role;
  session.toldRoleMs = nowMs;
  return [event(shard, session, 'role')];
}

function pong(shard: Shard, session: Session, { opaque }: Ping): Effect {
  const { state, loadPercent, listVersion } = shard.settings;
  return answer(shard, session, (header) => ({ type: 'PONG', ...header, state, loadPercent, listVersion, opaque }));
}

/** Once a second: the next PING says the rest. */
function badReads(shard: Shard, session: Session, packet: Ping, nowMs: number): Effect[] {
  const reads = packet.badReads - session.badReads;
  if (reads <= 0 || nowMs - session.toldBadMs < ROLE_EVERY_MS) return [];
  session.badReads = packet.badReads;
  session.toldBadMs = nowMs;
  count(shard.counters, 'badReads', reads);
  return [{ kind: 'badReads', ref: session.ref, device: session.device, reads }];
}

function list(shard: Shard, session: Session): Effect {
  const { servers, listVersion } = shard.settings;
  // Made once a version: of 256 servers it takes 0.2 ms, and whoever asks again and again would have the whole thread for it.
  if (session.list?.of !== servers) {
    const told = shortlist(session.device, servers, undefined, ({ state }) => (state === 'Streaming' ? 0 : 1));
    session.list = { of: servers, told };
  }
  const { told } = session.list;
  return answer(shard, session, (header) => ({ type: 'LIST', ...header, listVersion, servers: told }));
}

/** An order of the main thread. */
export function obey(shard: Shard, order: Order, nowMs: number): Effect[] {
  switch (order.kind) {
    case 'settings':
      shard.settings = { ...shard.settings, ...order.settings };
      if (order.settings.refused)
        for (const session of shard.sessions.values())
          session.refused = order.settings.refused.has(claimOf({ ...session, vdisk: session.ref.vdisk }));
      return [];
    case 'disks':
      for (const key of order.gone) shard.disks.delete(key);
      for (const disk of order.served) shard.disks.set(disk.key, disk);
      return [];
    case 'loginDone':
      shard.logins.delete(order.key);
      return order.bytes ? [{ kind: 'send', to: order.to, bytes: Buffer.from(order.bytes) }] : [];
    case 'readDone': {
      const pending = endRead(shard, order.read);
      const session = pending && shard.sessions.get(pending.session);
      if (!session) return [];
      session.waiting--;
      if (session.refused) return [readError(shard, session, pending.request, 'Revoked')];
      if (!order.bytes) return [readError(shard, session, pending.request, 'ReadFailed')];
      return [{ kind: 'data', session, read: pending, bytes: order.bytes }];
    }
    case 'move': {
      const session = shard.sessions.get(order.session);
      if (!session) return [];
      session.move = { server: order.server, untilMs: nowMs + order.withinMs, nextMs: nowMs };
      shard.restless.add(session);
      return moves(shard, session, nowMs);
    }
    case 'bye':
      return byeTo(shard, order.session).flatMap((session) => [
        answer(shard, session, (header) => ({ type: 'BYE', ...header, reason: order.reason })),
        leave(shard, session, 'left'),
      ]);
  }
}

function byeTo(shard: Shard, id: number | undefined): Session[] {
  if (id === undefined) return [...shard.sessions.values()];
  const session = shard.sessions.get(id);
  return session ? [session] : [];
}

/** Timers: sends MOVE again, and forgets who has been silent. Call it each TICK_MS. */
export function tick(shard: Shard, nowMs: number): Effect[] {
  const effects: Effect[] = [];
  for (const session of shard.restless) {
    effects.push(...tellRole(shard, session, nowMs), ...moves(shard, session, nowMs));
    const isMoving = session.move !== undefined && nowMs <= session.move.untilMs;
    if (!isMoving && session.role === session.toldRole) shard.restless.delete(session);
  }
  if (nowMs - shard.lookedMs < SILENT_LOOK_MS) return effects;
  shard.lookedMs = nowMs;
  for (const session of shard.sessions.values())
    if (nowMs - session.seenMs > SILENT_MS) effects.push(leave(shard, session, 'silent'));
    else if (!session.toldRunning && session.role === 'serve' && session.window.highest >= RUNNING_PACKETS) {
      session.toldRunning = true;
      effects.push(event(shard, session, 'running'));
    }
  return effects;
}
