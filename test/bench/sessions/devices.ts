/** What the crowd knows of each of its devices, by number, and the packets that they send and get. Tickets are its own: it has the farm's key. */
import { createHash, randomFillSync } from 'node:crypto';
import { sealTicket } from '../../../src/farm/token.ts';
import type { KeyRing } from '../../../src/kit/seal.ts';
import { attachKey, KEY_AT, trafficKeys } from '../../../src/stream/keys.ts';
import { swap } from '../../../src/stream/native/answer.ts';
import type { Native } from '../../../src/stream/native/sodium.ts';
import { DATA_HEADER_BYTES, PROTOCOL_VERSION, TAG_BYTES, TYPES } from '../../../src/stream/wire.ts';
import type { Post } from './post.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 16;
const COOKIE_BYTES = 20;
/** Of ATTACH, before its ticket. */
const ATTACH_HEAD = 64;
/** The answer is cut for a path of 1,500 bytes. */
const SEGMENT_BYTES = 1_408;
const DAY_SECONDS = 86_400;
/** READ and PING. */
const QUESTION_BYTES = 48;

export interface DevicesOptions {
  readonly count: number;
  readonly file: string;
  readonly fileBytes: number;
  readonly readBytes: number;
}

/** What an answer was. */
export type Seen = 'attached' | 'again' | 'refused' | 'read' | 'pong' | 'wait' | 'other';

export class Devices {
  readonly #c: Native;
  readonly #post: Post;
  readonly #options: DevicesOptions;
  /** Session keys, attach keys, client tag keys, by 32 bytes a device. */
  readonly #sessionKeys: Buffer;
  readonly #attachKeys: Buffer;
  readonly #tagKeys: Buffer;
  readonly #tagKeysAt: number;
  readonly #nonces: Buffer;
  readonly #cookies: Buffer;
  readonly #tickets: readonly Uint8Array[];
  /** The session id as it lies in memory; 0: not attached. */
  readonly sessions: Int32Array;
  readonly #numbers: Int32Array;
  /** The READ that is open, and when it was due; 0: none. */
  readonly open: Int32Array;
  readonly dueMs: Float64Array;
  /** Of the answer to it. */
  readonly #missing: Int32Array;

  constructor(c: Native, post: Post, options: DevicesOptions) {
    const { count, file, fileBytes } = options;
    this.#c = c;
    this.#post = post;
    this.#options = options;
    this.#sessionKeys = randomFillSync(Buffer.alloc(count * KEY_BYTES));
    this.#attachKeys = Buffer.alloc(count * KEY_BYTES);
    this.#tagKeys = Buffer.alloc(count * KEY_BYTES);
    this.#tagKeysAt = c.addressOf(this.#tagKeys);
    this.#nonces = Buffer.alloc(count * NONCE_BYTES);
    this.#cookies = Buffer.alloc(count * COOKIE_BYTES);
    this.sessions = new Int32Array(count);
    this.#numbers = new Int32Array(count);
    this.open = new Int32Array(count);
    this.dueMs = new Float64Array(count);
    this.#missing = new Int32Array(count);
    const ring: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 1)]]) };
    const ref = { vdisk: 'lab', version: 0, manifest: createHash('sha256').update(file).digest('hex') };
    const expires = Math.floor(Date.now() / 1_000) + DAY_SECONDS;
    this.#tickets = Array.from({ length: count }, (_, device) => {
      const sessionKey = this.#sessionKey(device);
      this.#attachKeys.set(attachKey(sessionKey), device * KEY_BYTES);
      const name = `pc${device}`;
      const mac = `52:54:00:00:${[device >> 8, device & 0xff].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
      const key = sessionKey.toString('base64');
      return sealTicket(ring, { ...ref, device: name, mac, site: 'default', sizeBytes: fileBytes, key, expires });
    });
  }

  #sessionKey(device: number): Buffer {
    return this.#sessionKeys.subarray(device * KEY_BYTES, (device + 1) * KEY_BYTES);
  }

  /** With a fresh nonce and the last cookie, which is mostly stale. */
  begin(device: number, role: 'serve' | 'standby'): void {
    this.sessions[device] = 0;
    this.open[device] = 0;
    randomFillSync(this.#nonces, device * NONCE_BYTES, NONCE_BYTES);
    this.attach(device, role);
  }

  attach(device: number, role: 'serve' | 'standby'): void {
    const ticket = this.#tickets[device] ?? new Uint8Array(0);
    const bytes = ATTACH_HEAD + ticket.length;
    const at = this.#post.next(device, bytes + TAG_BYTES);
    const { slab } = this.#post.out;
    slab.fill(0, at, at + ATTACH_HEAD);
    slab[at] = TYPES.ATTACH;
    slab[at + 1] = PROTOCOL_VERSION;
    this.#nonces.copy(slab, at + 16, device * NONCE_BYTES, (device + 1) * NONCE_BYTES);
    this.#cookies.copy(slab, at + 32, device * COOKIE_BYTES, (device + 1) * COOKIE_BYTES);
    slab.writeUInt16BE(ticket.length, at + 52);
    slab.writeUInt16BE(SEGMENT_BYTES, at + 54);
    slab[at + 60] = role === 'serve' ? 0 : 1;
    slab.set(ticket, at + ATTACH_HEAD);
    const place = this.#post.out.at + at;
    this.#c.siphash(place + bytes, place, bytes, this.#c.addressOf(this.#attachKeys) + device * KEY_BYTES);
  }

  /** A READ at a random place, whose latency counts from when it was due. True: the one before it was never answered whole. */
  read(device: number, dueMs: number, random: () => number): boolean {
    const { fileBytes, readBytes } = this.#options;
    const lost = this.open[device] !== 0;
    const blocks = Math.floor(fileBytes / readBytes);
    const at = this.#question(device, TYPES.READ);
    const { words } = this.#post.out;
    words[at + 4] = 0;
    words[at + 5] = swap(Math.floor(random() * blocks) * readBytes);
    words[at + 6] = swap(readBytes);
    words[at + 7] = 0;
    this.#sign(device, at);
    this.open[device] = this.#numbers[device] ?? 0;
    this.dueMs[device] = dueMs;
    this.#missing[device] = readBytes;
    return lost;
  }

  ping(device: number, role: 'serve' | 'standby'): void {
    const at = this.#question(device, TYPES.PING);
    const { words } = this.#post.out;
    words[at + 4] = role === 'serve' ? 0 : 1;
    words[at + 5] = swap(1);
    words[at + 6] = words[at + 7] = 0;
    this.#sign(device, at);
  }

  #question(device: number, type: number): number {
    const at = this.#post.next(device, QUESTION_BYTES) / 4;
    const { words } = this.#post.out;
    words[at] = type | (PROTOCOL_VERSION << 8);
    words[at + 1] = this.sessions[device] ?? 0;
    words[at + 2] = 0;
    const number = (this.#numbers[device] ?? 0) + 1;
    this.#numbers[device] = number;
    words[at + 3] = swap(number);
    return at;
  }

  #sign(device: number, at: number): void {
    const place = this.#post.out.at + at * 4;
    this.#c.siphash(place + 32, place, 32, this.#tagKeysAt + device * KEY_BYTES);
  }

  /** What came for a device, as `Take` of the post gives it. A READ is over when all of its answer came. */
  take(device: number, at: number, got: number, each: number): Seen {
    const { slab, words } = this.#post.in;
    const session = words[at / 4 + 1];
    switch (slab[at]) {
      case TYPES.DATA: {
        if (session !== this.sessions[device] || slab.readUInt32BE(at + 20) !== this.open[device]) return 'other';
        const left = (this.#missing[device] ?? 0) - (got - Math.ceil(got / each) * DATA_HEADER_BYTES);
        this.#missing[device] = left;
        if (left > 0) return 'wait';
        this.open[device] = 0;
        return 'read';
      }
      case TYPES.PONG:
        return session === this.sessions[device] ? 'pong' : 'other';
      case TYPES.WAIT:
        return 'wait';
      case TYPES.COOKIE:
        return this.#isMine(device, at) ? this.#cookie(device, at) : 'other';
      case TYPES.ATTACHED:
        return this.#isMine(device, at) ? this.#attached(device, at) : 'other';
      case TYPES.REFUSE:
        return 'refused';
      default:
        return 'other';
    }
  }

  #isMine(device: number, at: number): boolean {
    const nonce = device * NONCE_BYTES;
    return this.#post.in.slab.compare(this.#nonces, nonce, nonce + NONCE_BYTES, at + 16, at + 32) === 0;
  }

  #cookie(device: number, at: number): Seen {
    this.#post.in.slab.copy(this.#cookies, device * COOKIE_BYTES, at + 32, at + 32 + COOKIE_BYTES);
    return 'again';
  }

  #attached(device: number, at: number): Seen {
    if (this.sessions[device] !== 0) return 'other';
    const { slab, words } = this.#post.in;
    const nonce = this.#nonces.subarray(device * NONCE_BYTES, (device + 1) * NONCE_BYTES);
    const keys = trafficKeys(
      this.#sessionKey(device),
      nonce,
      Buffer.from(slab.subarray(at + 32, at + 48)),
      Buffer.from(slab.subarray(at + 48, at + 56)),
    );
    this.#tagKeys.set(keys.clientTag, device * KEY_BYTES + KEY_AT.clientTag);
    this.#numbers[device] = 0;
    this.sessions[device] = words[at / 4 + 1] ?? 0;
    return 'attached';
  }
}
