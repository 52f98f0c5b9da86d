/**
 * Cutting and sending one answer: hot and ugly on purpose. The data of an answer lies in one piece in the slab (one preadv2, one tag); the kernel
 * gathers header and payload of each segment and, with UDP_SEGMENT, cuts one send into as many packets as the answer has segments.
 *
 * ```
 * slab     … │ ad 40 │ data 65,536 │ common 56 │ message header, address, …
 * table    [common][position 0][data 0] [common][position 1][data 1] … │ positions 8 × n      static: one a segment size
 * ```
 * Only the common header changes from answer to answer (14 words), and the length of the last payload.
 */
import { count } from '../counters.ts';
import { KEY_AT } from '../keys.ts';
import { MAX_READ_BYTES, MAX_SEND_BYTES, MAX_SEND_SEGMENTS } from '../limits.ts';
import { DATA_COMMON_BYTES, DATA_HEADER_BYTES, DATA_TAGGED_BYTES, PROTOCOL_VERSION, TYPES } from '../packet.ts';
import type { Session } from '../session.ts';
import {
  EAGAIN,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENOBUFS,
  type Libc,
  MSG_DONTWAIT,
  POLLOUT,
  SOL_UDP,
  UDP_SEGMENT,
} from './libc.ts';

/** What the hot path knows of a session, beside the session. Words are as they lie in memory. */
export interface Hot {
  readonly session: Session;
  /** `sockaddr_in` of the client: family and port, then address. */
  readonly name0: number;
  readonly name1: number;
  /** Keys of the session, at a fixed address. */
  readonly keys: Buffer;
  readonly keysAt: number;
  readonly cut: Cut;
  /** False once the kernel refused to cut for this destination: its packets go one by one. */
  gso: boolean;
}

/** The iovec table of one segment size. */
interface Cut {
  readonly segmentBytes: number;
  readonly segmentsPerSend: number;
  /** Referenced for as long as native code may read it. */
  readonly table: Buffer;
  readonly words: Uint32Array;
  readonly iovAt: number;
}

const IOV_BYTES = 16;
const IOVS = 3;
const IOV_WORDS = IOV_BYTES / 4;
const POSITION_BYTES = DATA_HEADER_BYTES - DATA_COMMON_BYTES;
const CONTROL_BYTES = 24;
/** A full send buffer empties within this, or the path is broken: 4 MiB at 1 Gb/s are 34 ms, of which one answer needs 0.3. */
const SEND_WAIT_NS = 5_000_000;

const DATA = 4_096;
const AD = DATA - DATA_TAGGED_BYTES;
const COMMON = DATA + MAX_READ_BYTES;
const MESSAGE = COMMON + 64;
const NAME = MESSAGE + 64;
const CONTROL = NAME + 32;
const NONCE = CONTROL + 32;
const READ_IOV = NONCE + 16;
const POLL = READ_IOV + 16;
const TIMEOUT = POLL + 16;
const NO_CIPHER = TIMEOUT + 16;
const SLAB_BYTES = NO_CIPHER + 16;

export class Answers {
  /** `read` puts the data here. */
  readonly slab = Buffer.alloc(SLAB_BYTES);
  readonly words = new Uint32Array(this.slab.buffer, this.slab.byteOffset, SLAB_BYTES / 4);
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #authenticated: boolean;
  readonly #counters: Float64Array;
  readonly #at: number;
  readonly #cuts = new Map<number, Cut>();

  constructor(libc: Libc, fd: number, authenticated: boolean, counters: Float64Array) {
    this.#libc = libc;
    this.#fd = fd;
    this.#authenticated = authenticated;
    this.#counters = counters;
    this.#at = libc.addressOf(this.slab);
    const { slab } = this;
    slab[COMMON] = TYPES.DATA;
    slab[COMMON + 1] = PROTOCOL_VERSION;
    writePointer(slab, this.#at + NAME, MESSAGE);
    slab.writeUInt32LE(16, MESSAGE + 8);
    writePointer(slab, this.#at + CONTROL, MESSAGE + 32);
    slab.writeUInt32LE(18, CONTROL);
    slab.writeUInt32LE(SOL_UDP, CONTROL + 8);
    slab.writeUInt32LE(UDP_SEGMENT, CONTROL + 12);
    writePointer(slab, this.#at + DATA, READ_IOV);
    slab.writeInt32LE(this.#fd, POLL);
    slab.writeInt16LE(POLLOUT, POLL + 4);
    slab.writeUInt32LE(SEND_WAIT_NS, TIMEOUT + 8);
  }

  /** The table of a segment size: iovecs, then the positions they point to. */
  cut(segmentBytes: number): Cut {
    const known = this.#cuts.get(segmentBytes);
    if (known) return known;
    const segments = Math.ceil(MAX_READ_BYTES / segmentBytes);
    const table = Buffer.alloc(segments * (IOVS * IOV_BYTES + POSITION_BYTES));
    const tableAt = this.#libc.addressOf(table);
    for (let segment = 0; segment < segments; segment++) {
      const position = segments * IOVS * IOV_BYTES + segment * POSITION_BYTES;
      table.writeUInt32BE(segment * segmentBytes, position);
      const iov = segment * IOVS * IOV_BYTES;
      writePointer(table, this.#at + COMMON, iov);
      table.writeUInt32LE(DATA_COMMON_BYTES, iov + 8);
      writePointer(table, tableAt + position, iov + IOV_BYTES);
      table.writeUInt32LE(POSITION_BYTES, iov + IOV_BYTES + 8);
      writePointer(table, this.#at + DATA + segment * segmentBytes, iov + 2 * IOV_BYTES);
      table.writeUInt32LE(segmentBytes, iov + 2 * IOV_BYTES + 8);
    }
    const cut = {
      segmentBytes,
      segmentsPerSend: Math.min(MAX_SEND_SEGMENTS, Math.floor(MAX_SEND_BYTES / (segmentBytes + DATA_HEADER_BYTES))),
      table,
      words: new Uint32Array(table.buffer, table.byteOffset, table.length / 4),
      iovAt: tableAt,
    };
    this.#cuts.set(segmentBytes, cut);
    return cut;
  }

  /** Reads into the slab what is in the page cache. Fewer bytes than `length`, or −1: it is not all there. */
  readCached(fd: number, fileOffset: number, length: number, flags: number): number {
    this.words[(READ_IOV + 8) / 4] = length;
    return this.#libc.preadv2(fd, this.#at + READ_IOV, 1, fileOffset, flags);
  }

  /** The words of a READ as it came: they go to the header as they are, without being read as numbers. */
  headFromRead(words: Uint32Array, read: number): void {
    const to = this.words;
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
    const { slab } = this;
    writeBig(slab, request, COMMON + 16);
    writeBig(slab, offset, COMMON + 24);
    slab.writeUInt32BE(data.length, COMMON + 32);
    slab.set(tag, COMMON + 40);
    slab.set(data, DATA);
  }

  /** Sends `length` bytes of the slab as the next answer of the session. */
  send(hot: Hot, length: number): void {
    const { words, slab } = this;
    const { session, cut } = hot;
    slab.writeUInt32BE(session.id, COMMON + 4);
    session.sent++;
    writeBig(slab, session.sent, COMMON + 8);
    words[NAME / 4] = hot.name0;
    words[NAME / 4 + 1] = hot.name1;
    if (this.#authenticated) this.#seal(hot, length);

    const segments = Math.ceil(length / cut.segmentBytes);
    // The last payload is shorter: its iovec is put back after the sends.
    const last = ((segments - 1) * IOVS + 2) * IOV_WORDS + 2;
    cut.words[last] = length - (segments - 1) * cut.segmentBytes;
    for (let first = 0; first < segments; ) {
      const many = hot.gso ? Math.min(cut.segmentsPerSend, segments - first) : 1;
      const error = this.#sendSegments(cut, first, many);
      if (error === 0) first += many;
      else if (many > 1 && (error === EMSGSIZE || error === EINVAL || error === EIO)) {
        hot.gso = false;
        count(this.#counters, 'gsoFallbacks');
      } else {
        count(this.#counters, 'dropSendFailed');
        break;
      }
    }
    cut.words[last] = cut.segmentBytes;
    count(this.#counters, 'reads');
    count(this.#counters, 'readBytes', length);
    count(this.#counters, 'packetsOut', segments);
    count(this.#counters, 'bytesOut', length + segments * DATA_HEADER_BYTES);
  }

  /** One send of `many` segments; 0 or the errno. A full send buffer is waited for, for a short time. */
  #sendSegments(cut: Cut, first: number, many: number): number {
    const { slab } = this;
    writePointer(slab, cut.iovAt + first * IOVS * IOV_BYTES, MESSAGE + 16);
    slab.writeUInt32LE(many * IOVS, MESSAGE + 24);
    slab.writeUInt32LE(many > 1 ? CONTROL_BYTES : 0, MESSAGE + 40);
    slab.writeUInt16LE(cut.segmentBytes + DATA_HEADER_BYTES, CONTROL + 16);
    for (let attempt = 0; ; attempt++) {
      if (this.#libc.sendmsg(this.#fd, this.#at + MESSAGE, MSG_DONTWAIT) >= 0) return 0;
      const error = this.#libc.errno();
      if ((error !== EAGAIN && error !== ENOBUFS && error !== EINTR) || attempt === 2) return error;
      this.#libc.ppoll(this.#at + POLL, 1, this.#at + TIMEOUT, 0);
    }
  }

  /** The answer tag over the first 40 bytes and the data, which lie in one piece. One call, 0.4 to 0.5 ns a byte. */
  #seal(hot: Hot, length: number): void {
    const { words } = this;
    for (let word = 0; word < DATA_TAGGED_BYTES / 4; word++) words[AD / 4 + word] = words[COMMON / 4 + word] ?? 0;
    words[NONCE / 4 + 1] = words[COMMON / 4 + 2] ?? 0;
    words[NONCE / 4 + 2] = words[COMMON / 4 + 3] ?? 0;
    const [tag, nonce] = [this.#at + COMMON + DATA_TAGGED_BYTES, this.#at + NONCE];
    const key = hot.keysAt + KEY_AT.serverData;
    this.#libc.aead(this.#at + NO_CIPHER, tag, 0, 0, 0, this.#at + AD, DATA_TAGGED_BYTES + length, 0, nonce, key);
  }
}

export function writePointer(bytes: Buffer, pointer: number, at: number): void {
  bytes.writeUInt32LE(pointer % 0x1_0000_0000, at);
  bytes.writeUInt32LE(Math.floor(pointer / 0x1_0000_0000), at + 4);
}

function writeBig(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}
