/**
 * Putting together and sending one answer: hot and ugly on purpose. With UDP_SEGMENT the kernel cuts one send into as many packets as the answer has
 * segments; headers and data have to alternate in what is sent, so it gathers pairs:
 *
 * ```
 * iovecs   [header 0][data 0] [header 1][data 1] …
 * header   in the slab, one behind the other
 * data     in one piece: where the file lies in the page cache (mappings.ts), or in the slab, read there by preadv2 or filled in
 * ```
 * Sending from the page cache saves one of two copies: 32 KiB in 24 segments over a veth 0.377 s/GB beside 0.440 for preadv2 that scatters the data
 * between the headers. In mode Authenticated the tag wants 40 bytes of the header right before the data, so the data is in the slab.
 */

import { HASH_BYTES, PIECE_BYTES } from '../../image/tree/pieces.ts';
import {
  alignedSlab,
  EAGAIN,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENOBUFS,
  MSG_CONFIRM,
  MSG_DONTWAIT,
  POLLOUT,
  SEEK_END,
  SOL_UDP,
  UDP_SEGMENT,
} from '../../net/libc.ts';
import { count, counterAt } from '../counters.ts';
import { writeU64 } from '../fields.ts';
import { KEY_AT } from '../keys.ts';
import { MAX_PIECES, MAX_READ_BYTES, MAX_SEND_BYTES, MAX_SEND_SEGMENTS, MIN_SEGMENT_BYTES } from '../limits.ts';
import type { ServedDisk, Session } from '../shard.ts';
import { DATA_HEADER_BYTES, DATA_TAGGED_BYTES, PROTOCOL_VERSION, TYPES } from '../wire.ts';
import type { LeafPages } from './leaves.ts';
import type { Native } from './sodium.ts';

/** What the hot path knows of a session, beside the session. Words are signed and as they lie in memory: V8 keeps signed ones out of its heap. */
export interface Hot {
  readonly session: Session;
  /** The session id. */
  readonly idWord: number;
  /** `sockaddr_in` of the client: family and port, then address. */
  readonly name0: number;
  readonly name1: number;
  /** Where the keys of the session lie. */
  readonly keysAt: number;
  /** Payload of a packet. */
  readonly segmentBytes: number;
  /** False once the kernel refused to cut for this destination: its packets go one by one. */
  gso: boolean;
  /** Its neighbour does not answer ARP, and the send buffer is filling: it gets WAIT once a second, and no data. */
  silent: boolean;
  /** When it was told so last. */
  toldMs: number;
}

const IOV_BYTES = 16;
/** A header and its data. */
const PAIR_BYTES = 2 * IOV_BYTES;
const PAIR_WORDS = PAIR_BYTES / 4;
const CONTROL_BYTES = 24;
/** A full send buffer empties within this, or somebody holds it: 4 MiB at 1 Gb/s are 34 ms, of which one answer needs 0.3. */
const SEND_WAIT_NS = 5_000_000;
/** A buffer that did not empty is not waited for again for so long: the thread has others to read for, and a dropped answer is asked for again. */
const NO_WAIT_MS = 1_000;
/**
 * An answer goes to who has just sent a READ with a right tag: its neighbour is there, which the kernel is told. So an entry of its table never runs out
 * under a device that reads, and answers never wait for an ARP answer.
 */
export const ANSWER_FLAGS = MSG_DONTWAIT | MSG_CONFIRM;

const READS = counterAt('reads');
const READ_BYTES = counterAt('readBytes');
const PACKETS_OUT = counterAt('packetsOut');
const BYTES_OUT = counterAt('bytesOut');

const MAX_SEGMENTS = Math.ceil(MAX_READ_BYTES / MIN_SEGMENT_BYTES);
const HEADERS = 0;
/** At a multiple of 64, with room before it for what the tag covers of the header. */
const DATA = HEADERS + MAX_SEGMENTS * DATA_HEADER_BYTES + 64;
/** What is not whole pieces is read as such. */
const DATA_BYTES = MAX_PIECES * PIECE_BYTES;
const AD = DATA - DATA_TAGGED_BYTES;
const COMMON = DATA + DATA_BYTES;
const NAME = COMMON + 64;
const CONTROL = NAME + 32;
const NONCE = CONTROL + 32;
const READ_IOV = NONCE + 16;
const POLL = READ_IOV + 16;
const TIMEOUT = POLL + 16;
/** A byte a page: 64 KiB lie on 17 pages of 4 KiB at most. */
const RESIDENT = TIMEOUT + 16;
const PAIRS = RESIDENT + 32;
/** What the tag of suite 3 is of: of the header, and the hashes of the pieces. Behind it, hashes to compare with those. */
const PROOF = PAIRS + MAX_SEGMENTS * PAIR_BYTES;
const HASHES = PROOF + DATA_TAGGED_BYTES;
const FOUND = HASHES + MAX_PIECES * HASH_BYTES;
const SLAB_BYTES = FOUND + MAX_PIECES * HASH_BYTES;
/** `struct mmsghdr`. */
export const MESSAGE_BYTES = 64;

/** One answer: the slab in which it is put together, and the message that sends it. */
export class Answer {
  readonly #slab: Buffer;
  readonly #words: Int32Array;
  readonly #libc: Native;
  readonly #fd: number;
  readonly #authenticated: boolean;
  readonly #counters: Float64Array;
  readonly #at: number;
  /** Where the data lies. */
  #dataAt: number;
  readonly #messageAt: number;
  /** Its message alone. */
  readonly #message: Int32Array;
  readonly #full: { untilMs: number };
  /** Hashes that were put to `hashes`. */
  #pieces = 0;
  /** Whose answer was sealed. */
  #hot: Hot | undefined;
  #length = 0;

  /**
   * @param messages `struct mmsghdr`s at a fixed address, of which this is number `index`.
   * @param full Until when a full buffer of the socket is not waited for; the same for all its answers.
   */
  constructor(
    libc: Native,
    fd: number,
    authenticated: boolean,
    counters: Float64Array,
    messages: Buffer,
    index: number,
    full: { untilMs: number },
  ) {
    this.#libc = libc;
    this.#full = full;
    this.#fd = fd;
    this.#authenticated = authenticated;
    this.#counters = counters;
    const slab = alignedSlab(libc, SLAB_BYTES);
    this.#slab = slab;
    this.#words = new Int32Array(slab.buffer, slab.byteOffset, SLAB_BYTES / 4);
    this.#at = libc.addressOf(slab);
    this.#dataAt = this.#at + DATA;
    slab[COMMON] = TYPES.DATA;
    slab[COMMON + 1] = PROTOCOL_VERSION;
    const message = index * MESSAGE_BYTES;
    this.#messageAt = libc.addressOf(messages) + message;
    this.#message = new Int32Array(messages.buffer, messages.byteOffset + message, MESSAGE_BYTES / 4);
    writePointer(messages, this.#at + NAME, message);
    messages.writeUInt32LE(16, message + 8);
    writePointer(messages, this.#at + CONTROL, message + 32);
    slab.writeUInt32LE(18, CONTROL);
    slab.writeUInt32LE(SOL_UDP, CONTROL + 8);
    slab.writeUInt32LE(UDP_SEGMENT, CONTROL + 12);
    writePointer(slab, this.#at + DATA, READ_IOV);
    for (let segment = 0; segment < MAX_SEGMENTS; segment++) {
      writePointer(slab, this.#at + HEADERS + segment * DATA_HEADER_BYTES, PAIRS + segment * PAIR_BYTES);
      slab.writeUInt32LE(DATA_HEADER_BYTES, PAIRS + segment * PAIR_BYTES + 8);
    }
    slab.writeInt32LE(this.#fd, POLL);
    slab.writeInt16LE(POLLOUT, POLL + 4);
    slab.writeUInt32LE(SEND_WAIT_NS, TIMEOUT + 8);
  }

  /** Reads into the slab. Fewer bytes than `length`, or −1: not all of it is in the page cache, or the file was cut. */
  read(fd: number, fileOffset: number, length: number, flags: number): number {
    this.#words[(READ_IOV + 8) / 4] = length;
    this.#dataAt = this.#at + DATA;
    return this.#libc.preadv2(fd, this.#at + READ_IOV, 1, fileOffset, flags);
  }

  /**
   * Takes the data from where the file is mapped, `mapAt` its byte 0. False: not all of it is in the page cache, or the file was cut. A cut file's last
   * page is zeros behind its end and mincore does not tell, so its size is asked for each time (lseek 0.013 s/GB, a preadv2 of the last byte 0.047; nobody
   * uses the position). A page that goes after this look is waited for, in the send.
   */
  map(mapAt: number, fd: number, fileOffset: number, length: number): boolean {
    const slab = this.#slab;
    const { pageBytes } = this.#libc;
    if (this.#libc.lseek(fd, 0, SEEK_END) < fileOffset + length) return false;
    const before = fileOffset % pageBytes;
    const spanBytes = before + length;
    if (this.#libc.mincore(mapAt + fileOffset - before, spanBytes, this.#at + RESIDENT) !== 0) return false;
    const pages = Math.ceil(spanBytes / pageBytes);
    for (let page = 0; page < pages; page++) if (((slab[RESIDENT + page] ?? 0) & 1) === 0) return false;
    this.#dataAt = mapAt + fileOffset;
    return true;
  }

  /** The words of a READ as it came: they go to the header as they are, without being read as numbers. */
  headFromRead(words: Int32Array, read: number): void {
    const to = this.#words;
    const common = COMMON / 4;
    to[common + 4] = words[read + 2] ?? 0; // request id: the READ's packet number
    to[common + 5] = words[read + 3] ?? 0;
    to[common + 6] = words[read + 4] ?? 0; // offset
    to[common + 7] = words[read + 5] ?? 0;
    to[common + 8] = words[read + 6] ?? 0; // length
    to[common + 10] = words[read + 8] ?? 0; // tag
    to[common + 11] = words[read + 9] ?? 0;
    to[common + 12] = words[read + 10] ?? 0;
    to[common + 13] = words[read + 11] ?? 0;
  }

  /** The same from fields, with data that came another way. */
  fill(request: number, offset: number, tag: Uint8Array, data: Uint8Array): void {
    const slab = this.#slab;
    writeU64(slab, request, COMMON + 16);
    writeU64(slab, offset, COMMON + 24);
    slab.writeUInt32BE(data.length, COMMON + 32);
    slab.set(tag, COMMON + 40);
    slab.set(data, DATA);
    this.#dataAt = this.#at + DATA;
  }

  /** Hashes the pieces of its data, which was read into the slab and lies at `offset` on the disk. */
  hash(offset: number, length: number): void {
    this.#pieces = this.#libc.hashPieces(this.#at + HASHES, offset, this.#dataAt, length);
  }

  /** Takes the hashes of all `count` pieces from the leaf table. */
  takeLeaves(leaves: LeafPages, disk: ServedDisk, first: number, count: number): boolean {
    this.#pieces = count;
    return leaves.copy(disk, first, count, this.#words, HASHES / 4);
  }

  /** Is the data that was read into the slab, whole pieces from `offset` on, what the leaves say that were taken? */
  isProved(offset: number, length: number): boolean {
    const many = this.#libc.hashPieces(this.#at + FOUND, offset, this.#dataAt, length) * HASH_BYTES;
    return this.#slab.compare(this.#slab, HASHES, HASHES + many, FOUND, FOUND + many) === 0;
  }

  /** Leaves out the first bytes of the data. */
  skip(bytes: number): void {
    this.#dataAt += bytes;
  }

  /** Makes `length` bytes of the data the next answer of the session: its number, its tag, its headers. */
  seal(hot: Hot, length: number): void {
    const words = this.#words;
    const { session, segmentBytes } = hot;
    const segments = Math.ceil(length / segmentBytes);
    this.#hot = hot;
    this.#length = length;
    session.sent++;
    const high = Math.floor(session.sent / 0x1_0000_0000);
    words[COMMON / 4 + 1] = hot.idWord;
    words[COMMON / 4 + 2] = swap(high);
    words[COMMON / 4 + 3] = swap(session.sent - high * 0x1_0000_0000);
    words[NAME / 4] = hot.name0;
    words[NAME / 4 + 1] = hot.name1;
    words[(CONTROL + 16) / 4] = segmentBytes + DATA_HEADER_BYTES;
    if (this.#authenticated) this.#tag(hot, length);
    this.#head(segmentBytes, segments);
    this.#pair(segmentBytes, segments, length);
    this.#aim(0, segments);
    const counters = this.#counters;
    counters[READS] = (counters[READS] ?? 0) + 1;
    counters[READ_BYTES] = (counters[READ_BYTES] ?? 0) + length;
    counters[PACKETS_OUT] = (counters[PACKETS_OUT] ?? 0) + segments;
    counters[BYTES_OUT] = (counters[BYTES_OUT] ?? 0) + length + segments * DATA_HEADER_BYTES;
  }

  /** Its message as it is sends all of it. */
  get isOneSend(): boolean {
    const hot = this.#hot;
    if (!hot) return false;
    const { segmentBytes } = hot;
    return this.#length <= segmentBytes || (hot.gso && this.#length <= segmentsPerSend(segmentBytes) * segmentBytes);
  }

  /** Sends what was sealed, in as many sends as it takes. */
  send(): void {
    const hot = this.#hot;
    if (!hot) return;
    const segments = Math.ceil(this.#length / hot.segmentBytes);
    const most = segmentsPerSend(hot.segmentBytes);
    for (let first = 0; first < segments; ) {
      const many = hot.gso ? Math.min(most, segments - first) : 1;
      const error = this.#sendSegments(first, many);
      if (error === 0) first += many;
      else if (many > 1 && (error === EMSGSIZE || error === EINVAL || error === EIO)) {
        hot.gso = false;
        count(this.#counters, 'gsoFallbacks');
      } else {
        count(this.#counters, 'dropSendFailed');
        break;
      }
    }
  }

  /** Writes the headers. The common words are read once: 24 headers are 336 stores. Words 9 and 15 are zero for ever. */
  #head(segmentBytes: number, segments: number): void {
    const w = this.#words;
    const c = COMMON / 4;
    const [c0, c1, c2, c3] = [w[c] ?? 0, w[c + 1] ?? 0, w[c + 2] ?? 0, w[c + 3] ?? 0];
    const [c4, c5, c6, c7] = [w[c + 4] ?? 0, w[c + 5] ?? 0, w[c + 6] ?? 0, w[c + 7] ?? 0];
    const [c8, c10, c11, c12, c13] = [w[c + 8] ?? 0, w[c + 10] ?? 0, w[c + 11] ?? 0, w[c + 12] ?? 0, w[c + 13] ?? 0];
    for (let segment = 0, to = HEADERS / 4; segment < segments; segment++, to += DATA_HEADER_BYTES / 4) {
      w[to] = c0;
      w[to + 1] = c1;
      w[to + 2] = c2;
      w[to + 3] = c3;
      w[to + 4] = c4;
      w[to + 5] = c5;
      w[to + 6] = c6;
      w[to + 7] = c7;
      w[to + 8] = c8;
      w[to + 10] = c10;
      w[to + 11] = c11;
      w[to + 12] = c12;
      w[to + 13] = c13;
      w[to + 14] = swap(segment * segmentBytes);
    }
  }

  /** Points at the data of each segment. */
  #pair(segmentBytes: number, segments: number, length: number): void {
    const words = this.#words;
    let high = Math.floor(this.#dataAt / 0x1_0000_0000);
    let low = this.#dataAt - high * 0x1_0000_0000;
    const end = PAIRS / 4 + segments * PAIR_WORDS;
    for (let pair = PAIRS / 4; pair < end; pair += PAIR_WORDS) {
      words[pair + 4] = low;
      words[pair + 5] = high;
      words[pair + 6] = segmentBytes;
      low += segmentBytes;
      if (low < 0x1_0000_0000) continue;
      low -= 0x1_0000_0000;
      high++;
    }
    words[end - PAIR_WORDS + 6] = length - (segments - 1) * segmentBytes;
  }

  /** Makes the message one of these segments. */
  #aim(first: number, many: number): void {
    const message = this.#message;
    setPointer(message, this.#at + PAIRS + first * PAIR_BYTES, 16);
    message[6] = many * 2;
    message[10] = many > 1 ? CONTROL_BYTES : 0;
  }

  /** One send of `many` segments; 0 or the errno. A full send buffer is waited for, for a short time, while it does empty. */
  #sendSegments(first: number, many: number): number {
    this.#aim(first, many);
    for (let attempt = 0; ; attempt++) {
      if (this.#libc.sendmsg(this.#fd, this.#messageAt, ANSWER_FLAGS) >= 0) return 0;
      const error = this.#libc.errno();
      if (error === EINTR) continue;
      if ((error !== EAGAIN && error !== ENOBUFS) || attempt === 2) return error;
      const now = performance.now();
      if (now < this.#full.untilMs) return error;
      if (this.#libc.ppoll(this.#at + POLL, 1, this.#at + TIMEOUT, 0) === 0) this.#full.untilMs = now + NO_WAIT_MS;
    }
  }

  /** The answer tag over the first 40 bytes, and behind them the hashes of the pieces, or the data. */
  #tag(hot: Hot, length: number): void {
    const words = this.#words;
    const [tag, key] = [this.#at + COMMON + DATA_TAGGED_BYTES, hot.keysAt + KEY_AT.serverData];
    const head = hot.session.suite === 'HashThenMac' ? PROOF : AD;
    for (let word = 0; word < DATA_TAGGED_BYTES / 4; word++) words[head / 4 + word] = words[COMMON / 4 + word] ?? 0;
    if (head === PROOF) {
      this.#libc.siphash(tag, this.#at + PROOF, DATA_TAGGED_BYTES + this.#pieces * HASH_BYTES, key);
      return;
    }
    words[NONCE / 4 + 1] = words[COMMON / 4 + 2] ?? 0;
    words[NONCE / 4 + 2] = words[COMMON / 4 + 3] ?? 0;
    const nonce = this.#at + NONCE;
    this.#libc.aeadTag(tag, this.#at + AD, DATA_TAGGED_BYTES + length, nonce, key);
  }
}

const segmentsPerSend = (segmentBytes: number): number =>
  Math.min(MAX_SEND_SEGMENTS, Math.floor(MAX_SEND_BYTES / (segmentBytes + DATA_HEADER_BYTES)));

export function writePointer(bytes: Buffer, pointer: number, at: number): void {
  const high = Math.floor(pointer / 0x1_0000_0000);
  bytes.writeUInt32LE(pointer - high * 0x1_0000_0000, at);
  bytes.writeUInt32LE(high, at + 4);
}

function setPointer(words: Int32Array, pointer: number, at: number): void {
  const high = Math.floor(pointer / 0x1_0000_0000);
  words[at / 4] = pointer - high * 0x1_0000_0000;
  words[at / 4 + 1] = high;
}

/** The word that lies in memory as the number's four big-endian bytes, signed; and back. */
export const swap = (value: number): number =>
  ((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
