/**
 * Pings between the servers of a site: liveness, load, drain state and clock, without any database. Pure; `peers.ts` has the socket.
 *
 * ```
 * offset size                                    offset size
 *  0     1  format: 1                             40     8  echo: a token received from the addressee, or 0
 *  1     1  flags: bit 0 draining                 48     8  counter: grows with each tick of this instance
 *  2     1  load percent                          56     8  wall clock, Unix milliseconds
 *  3     1  prefix length of the network          64     1  n: length of the name
 *  4     4  devices                               65     1  reserved
 *  8     4  booting                               66     2  m: manifests
 * 12     4  power rating × 10                     68     n  name
 * 16     4  limit of devices                      68+n  8m  first 8 bytes of the manifest digest of each copy it serves
 * 20     4  limit of booting devices              end   16  HMAC-SHA256 of all before and the addressee's name, truncated
 * 24     8  instance: random at each start
 * 32     8  token: random at each tick
 * ```
 * Big-endian. An echo of one of our last tokens proves that the sender lives now; a ping counts once, and only for its addressee. So a recorded one is
 * worth nothing, and takes nothing away.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export interface PeerLoad {
  readonly name: string;
  readonly draining: boolean;
  readonly loadPercent: number;
  readonly prefixLength: number;
  readonly devices: number;
  readonly booting: number;
  readonly powerRating: number;
  readonly maxDevices: number;
  readonly maxBooting: number;
  /** 16 hex digits each. */
  readonly manifests: readonly string[];
}

export interface PeerPing extends PeerLoad {
  readonly instance: bigint;
  readonly token: bigint;
  readonly echo: bigint;
  readonly counter: bigint;
  /** Unix milliseconds. */
  readonly wallMs: number;
}

/** A ping stays within one packet of 1,500 bytes, whatever the name: a server that serves more versions than that lists the first ones. */
export const MAX_MANIFESTS = 140;
const MAX_NAME_BYTES = 253;
const FIXED_BYTES = 68;
const TAG_BYTES = 16;
const MAX_PING_BYTES = FIXED_BYTES + MAX_NAME_BYTES + MAX_MANIFESTS * 8 + TAG_BYTES;

const tagOf = (key: Uint8Array, bytes: Uint8Array, to: string): Buffer =>
  createHmac('sha256', key).update(bytes).update(to).digest().subarray(0, TAG_BYTES);

/** A number as its field can say it: a limit beyond it is told as the largest, and none throws. */
const within = (value: number, max: number): number => Math.max(0, Math.min(max, Math.round(value) || 0));
const U8 = 0xff;
const U32 = 0xffff_ffff;

/** `to`: the name of the server that it is for. */
export function encodePing(ping: PeerPing, key: Uint8Array, to: string): Buffer {
  const name = Buffer.from(ping.name, 'utf8').subarray(0, MAX_NAME_BYTES);
  const manifests = ping.manifests.slice(0, MAX_MANIFESTS);
  const bytes = Buffer.alloc(FIXED_BYTES + name.length + manifests.length * 8);
  bytes[0] = 1;
  bytes[1] = ping.draining ? 1 : 0;
  bytes[2] = within(ping.loadPercent, U8);
  bytes[3] = within(ping.prefixLength, U8);
  bytes.writeUInt32BE(within(ping.devices, U32), 4);
  bytes.writeUInt32BE(within(ping.booting, U32), 8);
  bytes.writeUInt32BE(within(ping.powerRating * 10, U32), 12);
  bytes.writeUInt32BE(within(ping.maxDevices, U32), 16);
  bytes.writeUInt32BE(within(ping.maxBooting, U32), 20);
  bytes.writeBigUInt64BE(ping.instance, 24);
  bytes.writeBigUInt64BE(ping.token, 32);
  bytes.writeBigUInt64BE(ping.echo, 40);
  bytes.writeBigUInt64BE(ping.counter, 48);
  bytes.writeBigUInt64BE(BigInt(within(ping.wallMs, Number.MAX_SAFE_INTEGER)), 56);
  bytes[64] = name.length;
  bytes.writeUInt16BE(manifests.length, 66);
  name.copy(bytes, FIXED_BYTES);
  manifests.forEach((manifest, index) => {
    bytes.write(manifest, FIXED_BYTES + name.length + index * 8, 8, 'hex');
  });
  return Buffer.concat([bytes, tagOf(key, bytes, to)]);
}

/** `to`: this server's name. */
export function decodePing(
  bytes: Buffer,
  key: Uint8Array,
  to: string,
): Result<PeerPing, Fault<'PingMalformed' | 'PingForged'>> {
  if (bytes.length < FIXED_BYTES + TAG_BYTES) return fail('PingMalformed', `${bytes.length} bytes are too few`);
  if (bytes.length > MAX_PING_BYTES)
    return fail('PingMalformed', `${bytes.length} bytes are more than ${MAX_PING_BYTES}`);
  if (bytes[0] !== 1) return fail('PingMalformed', `format ${bytes[0]} is not 1`);
  const nameLength = bytes[64] ?? 0;
  const count = bytes.readUInt16BE(66);
  if (bytes.length !== FIXED_BYTES + nameLength + count * 8 + TAG_BYTES)
    return fail('PingMalformed', `${bytes.length} bytes do not hold a name of ${nameLength} and ${count} manifests`);
  const signed = bytes.subarray(0, -TAG_BYTES);
  if (!timingSafeEqual(tagOf(key, signed, to), bytes.subarray(-TAG_BYTES)))
    return fail('PingForged', 'the tag is wrong: another farm, another key, for another server, or forged');
  const at = FIXED_BYTES + nameLength;
  return ok({
    name: bytes.toString('utf8', FIXED_BYTES, at),
    draining: ((bytes[1] ?? 0) & 1) === 1,
    loadPercent: bytes[2] ?? 0,
    prefixLength: bytes[3] ?? 0,
    devices: bytes.readUInt32BE(4),
    booting: bytes.readUInt32BE(8),
    powerRating: bytes.readUInt32BE(12) / 10,
    maxDevices: bytes.readUInt32BE(16),
    maxBooting: bytes.readUInt32BE(20),
    instance: bytes.readBigUInt64BE(24),
    token: bytes.readBigUInt64BE(32),
    echo: bytes.readBigUInt64BE(40),
    counter: bytes.readBigUInt64BE(48),
    wallMs: Number(bytes.readBigUInt64BE(56)),
    manifests: Array.from({ length: count }, (_, index) => bytes.toString('hex', at + index * 8, at + index * 8 + 8)),
  });
}

/** What is known of one start of a peer's process. */
interface Heard {
  readonly instance: bigint;
  /** Of its newest ping: no other one up to it counts. */
  readonly counter: bigint;
  /** To be echoed to it. */
  readonly token: bigint;
  readonly wallMs: number;
}

interface Proven extends Heard {
  readonly load: PeerLoad;
  /** Monotonic ms of the last ping that echoed a token of ours. */
  readonly at: number;
  /** By how much its clock is ahead of ours, at least; negative: behind. */
  readonly skewMs: number;
}

/** What is known of one peer. */
export interface Peer {
  /** Absent: nobody of that name has echoed a token of ours yet. */
  readonly proven?: Proven;
  /** Other starts of that name: it was started anew, or somebody sends old pings again. Those with the latest clocks. */
  readonly others: readonly Heard[];
}

/** A token of ours, and our wall clock when it was made. */
export interface OwnToken {
  readonly token: bigint;
  readonly wallMs: number;
}

export interface Now {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** Four missed pings and one late one: a server that is silent so long gets no new devices. */
export const PEER_ALIVE_MS = 1_250;
export const PING_INTERVAL_MS = 250;
/** Tokens that an echo may answer: two seconds of ticks, above any delay on a site's network, and above one round of echoes to all starts of a name. */
export const TOKENS_KEPT = 8;
/** Starts of one name that are kept beside the proven one. */
export const OTHERS_KEPT = 4;

/** The peer after a ping that this server was sent. */
export function heard(known: Peer = { others: [] }, ping: PeerPing, own: readonly OwnToken[], now: Now): Peer {
  const { instance, counter, token, wallMs } = ping;
  const { proven } = known;
  const before = [proven, ...known.others].find((start) => start?.instance === instance);
  if (before && counter <= before.counter) return known;
  const start = { instance, counter, token, wallMs };
  const others = known.others.filter((other) => other.instance !== instance);
  const sent = own.find((mine) => mine.token === ping.echo);
  if (sent) {
    const skewMs = skewOf(wallMs, sent.wallMs, now.wallMs);
    const newer = { ...start, load: ping, at: now.monotonicMs, skewMs };
    // The start before it is remembered by its counter: its last pings may still be under way, or come again.
    return { proven: newer, others: proven && proven.instance !== instance ? kept([...others, proven]) : others };
  }
  if (proven?.instance !== instance) return { ...known, others: kept([...others, start]) };
  // The same start, that has not heard us of late: its token is taken only when its proof is over, or two that lost each other would never meet again.
  return { ...known, proven: { ...proven, counter, token: isAlive(known, now.monotonicMs) ? proven.token : token } };
}

const kept = (all: readonly Heard[]): readonly Heard[] =>
  [...all].sort((a, b) => b.wallMs - a.wallMs).slice(0, OTHERS_KEPT);

/** Its clock was read between our making of the token and our hearing of the echo: what lies outside of that is skew, whatever the network did. */
const skewOf = (peer: number, sent: number, heardAt: number): number =>
  peer > heardAt ? peer - heardAt : Math.min(0, peer - sent);

/** What a ping to it echoes: the proven start while it lives, else all that claim the name in turn, so that the living one is among them. */
export function echoFor(peer: Peer | undefined, tick: number, nowMs: number): bigint {
  if (!peer) return 0n;
  const { proven, others } = peer;
  if (proven && isAlive(peer, nowMs)) return proven.token;
  const all = proven ? [proven, ...others] : others;
  return all[tick % all.length]?.token ?? 0n;
}

export const isAlive = (peer: Peer | undefined, nowMs: number): boolean =>
  peer?.proven !== undefined && nowMs - peer.proven.at <= PEER_ALIVE_MS;
