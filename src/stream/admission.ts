/** Before a session: HELLO, LOGIN and ATTACH. What a sender gets here is never longer than its question until a cookie proved its address. */
import { claimOf } from '../farm/refusal.ts';
import { type BootToken, openBootToken, openTicket, refKey, type Ticket } from '../farm/token.ts';
import { ok, type Result } from '../kit/result.ts';
import { checkCookie, makeCookie, type Peer } from './cookie.ts';
import { attachKey, sign, trafficKeys, verify } from './keys.ts';
import {
  BUSY_RETRY_MS,
  EARLIER_NONCES,
  MAX_PENDING_LOGINS,
  MAX_SESSIONS,
  MIN_SEGMENT_BYTES,
  REFUSED_RETRY_MS,
} from './limits.ts';
import { type Attach, encode, type Login, type Refusal } from './packet.ts';
import {
  drop,
  type Effect,
  event,
  leave,
  peerKey,
  type ServedDisk,
  type Session,
  type Shard,
  suiteOf,
  tally,
} from './shard.ts';
import { ReplayWindow } from './window.ts';

/** 52 bytes for a HELLO of 64, a LOGIN of 89 or more, an ATTACH of 81 or more: never longer than the question. */
export function cookie(shard: Shard, nonce: Uint8Array, from: Peer, nowMs: number): Effect {
  const made = makeCookie(shard.sip, shard.cookieKey, from, nowMs);
  return { kind: 'send', to: from, bytes: encode({ type: 'COOKIE', session: 0, number: 0, nonce, cookie: made }) };
}

/** Code, retry after (ms), text. */
type Reason = readonly [Refusal, number, string];

/** Signed by the attach key where both sides know one: to a device that holds a ticket an unsigned REFUSE is a hint only. */
function refuse(
  shard: Shard,
  nonce: Uint8Array,
  to: Peer,
  [code, retryAfterMs, text]: Reason,
  key?: Uint8Array,
): Effect {
  tally(shard, `refused${code}`);
  const bytes = encode({ type: 'REFUSE', session: 0, number: 0, nonce, code, retryAfterMs, text });
  return { kind: 'send', to, bytes: key ? sign(shard.sip, key, bytes) : bytes };
}

/** Seals are opened here: what does not open never crosses to the main thread. */
export function login(shard: Shard, packet: Login, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  if (!checkCookie(shard.sip, shard.cookieKey, from, packet.cookie, nowMs))
    return [cookie(shard, packet.nonce, from, nowMs)];
  const key = `${peerKey(from)}/${Buffer.from(packet.nonce).toString('hex')}`;
  if (shard.logins.has(key)) return [];
  if (!shard.loginShares.spend(from.host, nowMs)) return drop(shard, 'dropBusy');
  const [{ ring }, now] = [shard.settings, Math.floor(shard.wallMs() / 1000)];
  const held = packet.renew ? openTicket(ring, packet.token, now) : undefined;
  const opened = held ?? openBootToken(ring, packet.token, now);
  if (!opened.ok) return [refuse(shard, packet.nonce, from, [opened.error.code, 0, opened.error.message])];
  const { device, mac, uuid, site, vdisk, version, manifest, expires } = opened.value;
  const renews = held?.ok ? Buffer.from(held.value.key, 'base64') : undefined;
  const signer = renews && attachKey(renews, shard.hkdf);
  if (signer && !verify(shard.sip, signer, bytes)) return drop(shard, 'dropWrongTag');
  const refusal = loginRefusal(shard, opened.value, renews !== undefined);
  if (refusal) return [refuse(shard, packet.nonce, from, refusal, signer)];
  shard.logins.add(key);
  tally(shard, 'logins');
  const token = { device, mac, ...(uuid === undefined ? {} : { uuid }), site, vdisk, version, manifest, expires };
  const { redirected } = packet;
  const [nonce, share] = [Uint8Array.from(packet.nonce), Uint8Array.from(packet.share)];
  return [{ kind: 'login', login: { key, from, nonce, share, redirected, token, renews } }];
}

/** Why the role is not asked. */
function loginRefusal(shard: Shard, token: BootToken, renew: boolean): Reason | undefined {
  const { site, device } = token;
  if (site !== shard.site) return ['TokenInvalid', 0, `the token is of site ${site}, this server of ${shard.site}`];
  if (renew && shard.settings.refused.has(claimOf(token))) return refusedDevice(device);
  if (shard.settings.state === 'Draining') return ['Draining', 0, 'this server is leaving'];
  if (shard.logins.size >= MAX_PENDING_LOGINS) return ['Busy', BUSY_RETRY_MS, 'too many devices log in at this moment'];
  return undefined;
}

export function attach(shard: Shard, packet: Attach, bytes: Buffer, from: Peer, nowMs: number): Effect[] {
  if (!checkCookie(shard.sip, shard.cookieKey, from, packet.cookie, nowMs))
    return [cookie(shard, packet.nonce, from, nowMs)];
  if (!shard.attachShares.spend(from.host, nowMs)) return drop(shard, 'dropBusy');
  const opened = openTicket(shard.settings.ring, packet.ticket, Math.floor(shard.wallMs() / 1000));
  if (!opened.ok) return [refuse(shard, packet.nonce, from, ['TicketInvalid', 0, opened.error.message])];
  const ticket = opened.value;
  const sessionKey = Buffer.from(ticket.key, 'base64');
  const key = attachKey(sessionKey, shard.hkdf);
  if (!verify(shard.sip, key, bytes)) return drop(shard, 'dropWrongTag');

  const previous = shard.byPeer.get(peerKey(from));
  if (previous && Buffer.from(packet.nonce).equals(previous.clientNonce))
    return [{ kind: 'send', to: from, bytes: previous.attached }];
  // Its cookie is good for two minutes: sent again by somebody, it would end the session that came after it.
  if (previous?.earlierNonces.some((nonce) => nonce.equals(packet.nonce))) return drop(shard, 'dropReplayed');
  const admitted = admit(shard, packet, ticket, previous);
  if (!admitted.ok) return [refuse(shard, packet.nonce, from, admitted.error, key)];

  const gone = previous ? [leave(shard, previous, 'left')] : [];
  const session = open(shard, packet, ticket, admitted.value, sessionKey, from, nowMs, previous);
  tally(shard, 'attaches');
  return [...gone, { kind: 'send', to: from, bytes: session.attached }, event(shard, session, 'attached')];
}

/** To ATTACH and to a renewal. It may be lifted at any time, so the device may come back. */
const refusedDevice = (device: string): Reason => [
  'UnknownDevice',
  REFUSED_RETRY_MS,
  `${device} may not stream any more: it or its vDisk was disabled or removed`,
];

/** The disk of a session that this server takes, or why not, in order. Nothing here is about pace: a device that lost its server is never made to wait. */
function admit(
  shard: Shard,
  packet: Attach,
  ticket: Ticket,
  previous: Session | undefined,
): Result<ServedDisk, Reason> {
  const disk = shard.disks.get(refKey(ticket));
  const name = `${ticket.vdisk} version ${ticket.version}`;
  const no = (...error: Reason) => ({ ok: false, error }) as const;
  if (shard.settings.refused.has(claimOf(ticket))) return no(...refusedDevice(ticket.device));
  if (ticket.site !== shard.site)
    return no('TicketInvalid', 0, `the ticket is of site ${ticket.site}, this server of ${shard.site}`);
  if (packet.maxSegmentBytes < MIN_SEGMENT_BYTES)
    return no(
      'SegmentTooSmall',
      0,
      `a packet carries ${MIN_SEGMENT_BYTES} bytes of data at least, this client takes ${packet.maxSegmentBytes}: its MTU has to be 576`,
    );
  if (!disk) return no('NoCopy', BUSY_RETRY_MS, `this server has no up-to-date copy of ${name}`);
  if (disk.sizeBytes !== ticket.sizeBytes)
    return no('NoCopy', 0, `${name} has ${disk.sizeBytes} bytes here, the ticket says ${ticket.sizeBytes}`);
  if (shard.settings.state === 'Draining' && packet.role === 'serve' && !previous)
    return no('Draining', 0, 'this server is leaving');
  if (shard.sessions.size >= MAX_SESSIONS && !previous)
    return no('Busy', BUSY_RETRY_MS, `this server holds ${MAX_SESSIONS} sessions`);
  return ok(disk);
}

const NONE: readonly Buffer[] = [];

function open(
  shard: Shard,
  packet: Attach,
  ticket: Ticket,
  disk: ServedDisk,
  sessionKey: Buffer,
  peer: Peer,
  nowMs: number,
  previous: Session | undefined,
): Session {
  let id = 0;
  while (id === 0 || shard.sessions.has(id)) id = shard.random(4).readUInt32BE(0);
  const serverNonce = shard.random(16);
  const keys = trafficKeys(sessionKey, packet.nonce, serverNonce, shard.instance, shard.hkdf);
  const segmentBytes = Math.min(packet.maxSegmentBytes, shard.maxSegmentBytes);
  const suite = suiteOf(shard.mode, disk);
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
      suite,
      listVersion: shard.settings.listVersion,
      sizeBytes: ticket.sizeBytes,
    }),
  );
  const session: Session = {
    id,
    peer,
    device: ticket.device,
    mac: ticket.mac,
    ...(ticket.uuid === undefined ? {} : { uuid: ticket.uuid }),
    ref: disk.ref,
    disk: disk.key,
    keys,
    segmentBytes,
    suite,
    // Of its own: a slice of a Buffer would hold the whole of the 8 KiB that it is cut from.
    clientNonce: Uint8Array.from(packet.nonce),
    earlierNonces: previous
      ? [Buffer.from(previous.clientNonce), ...previous.earlierNonces].slice(0, EARLIER_NONCES)
      : NONE,
    attached,
    window: new ReplayWindow(),
    role: packet.role,
    toldRole: packet.role,
    toldRoleMs: Number.NEGATIVE_INFINITY,
    waiting: 0,
    refused: false,
    seenMs: nowMs,
    badReads: 0,
    toldRunning: false,
    toldBadMs: Number.NEGATIVE_INFINITY,
    sent: 1,
  };
  shard.sessions.set(id, session);
  shard.byPeer.set(peerKey(peer), session);
  return session;
}
