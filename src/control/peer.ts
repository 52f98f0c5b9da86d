/**
 * Pings between the servers of a site: liveness, load and drain state, without any database. Pure; `peers.ts` has the socket.
 *
 * ```
 * offset size                                    offset size
 *  0     1  format: 1                             24     8  instance: random at each start
 *  1     1  flags: bit 0 draining                 32     8  token: random at each tick
 *  2     1  load percent                          40     8  echo: the newest token received from the addressee, or 0
 *  3     1  prefix length of the network          48     1  n: length of the name
 *  4     4  devices                               49     1  reserved
 *  8     4  booting                               50     2  m: manifests
 * 12     4  power rating × 10                     52     n  name
 * 16     4  limit of devices                      52+n  8m  first 8 bytes of the manifest digest of each copy it serves
 * 20     4  limit of booting devices              end   16  HMAC-SHA256 of all before, truncated
 * ```
 * Big-endian. An echo of one of our last tokens proves that the sender lives now: no clock is compared, and a recorded ping is worth nothing.
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
}

/** A ping stays within one packet of 1,500 bytes: a server that serves more versions than that lists the first ones. */
export const MAX_MANIFESTS = 150;
const FIXED_BYTES = 52;
const TAG_BYTES = 16;

const tagOf = (key: Uint8Array, bytes: Uint8Array): Buffer =>
  createHmac('sha256', key).update(bytes).digest().subarray(0, TAG_BYTES);

export function encodePing(ping: PeerPing, key: Uint8Array): Buffer {
  const name = Buffer.from(ping.name, 'utf8');
  const manifests = ping.manifests.slice(0, MAX_MANIFESTS);
  const bytes = Buffer.alloc(FIXED_BYTES + name.length + manifests.length * 8);
  bytes[0] = 1;
  bytes[1] = ping.draining ? 1 : 0;
  bytes[2] = ping.loadPercent;
  bytes[3] = ping.prefixLength;
  bytes.writeUInt32BE(ping.devices, 4);
  bytes.writeUInt32BE(ping.booting, 8);
  bytes.writeUInt32BE(Math.round(ping.powerRating * 10), 12);
  bytes.writeUInt32BE(ping.maxDevices, 16);
  bytes.writeUInt32BE(ping.maxBooting, 20);
  bytes.writeBigUInt64BE(ping.instance, 24);
  bytes.writeBigUInt64BE(ping.token, 32);
  bytes.writeBigUInt64BE(ping.echo, 40);
  bytes[48] = name.length;
  bytes.writeUInt16BE(manifests.length, 50);
  name.copy(bytes, FIXED_BYTES);
  manifests.forEach((manifest, index) => {
    bytes.write(manifest, FIXED_BYTES + name.length + index * 8, 8, 'hex');
  });
  return Buffer.concat([bytes, tagOf(key, bytes)]);
}

export function decodePing(bytes: Buffer, key: Uint8Array): Result<PeerPing, Fault<'PingMalformed' | 'PingForged'>> {
  if (bytes.length < FIXED_BYTES + TAG_BYTES) return fail('PingMalformed', `${bytes.length} bytes are too few`);
  if (bytes[0] !== 1) return fail('PingMalformed', `format ${bytes[0]} is not 1`);
  const nameLength = bytes[48] ?? 0;
  const count = bytes.readUInt16BE(50);
  if (bytes.length !== FIXED_BYTES + nameLength + count * 8 + TAG_BYTES)
    return fail('PingMalformed', `${bytes.length} bytes do not hold a name of ${nameLength} and ${count} manifests`);
  const signed = bytes.subarray(0, -TAG_BYTES);
  if (!timingSafeEqual(tagOf(key, signed), bytes.subarray(-TAG_BYTES)))
    return fail('PingForged', 'the tag is wrong: another farm, another key, or forged');
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
    manifests: Array.from({ length: count }, (_, index) => bytes.toString('hex', at + index * 8, at + index * 8 + 8)),
  });
}

/** What is known of one peer. */
export interface Peer {
  readonly load: PeerLoad;
  readonly instance: bigint;
  /** To be echoed in our next ping to it. */
  readonly token: bigint;
  /** Monotonic ms of the last ping that echoed a token of ours; absent: never. */
  readonly provenAt?: number;
}

/** Four missed pings and one late one: a server that is silent so long gets no new devices. */
export const PEER_ALIVE_MS = 1_250;
export const PING_INTERVAL_MS = 250;
/** Tokens that an echo may answer: two seconds of ticks, above any delay on a site's network. */
export const TOKENS_KEPT = 8;

/** The peer after a ping; the load is believed only when the ping echoes one of our last tokens. */
export function heard(known: Peer | undefined, ping: PeerPing, ownTokens: readonly bigint[], nowMs: number): Peer {
  const proven = ping.echo !== 0n && ownTokens.includes(ping.echo);
  if (proven) return { load: ping, instance: ping.instance, token: ping.token, provenAt: nowMs };
  return { ...(known ?? { load: ping, instance: ping.instance }), token: ping.token };
}

export const isAlive = (peer: Peer | undefined, nowMs: number): boolean =>
  peer?.provenAt !== undefined && nowMs - peer.provenAt <= PEER_ALIVE_MS;
