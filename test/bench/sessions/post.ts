/**
 * One UDP socket that is as many devices as there are addresses in a prefix: a packet leaves from the address of its device (IP_PKTINFO), and what
 * arrives says to which it came. In batches, and of what arrives only the beginning is copied: the client of a bench must not be what is measured.
 */
import {
  AF_INET,
  IPPROTO_IP,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SOCK_DGRAM_CLOEXEC,
  SOL_SOCKET,
  SOL_UDP,
  socketAddress,
  UDP_GRO,
} from '../../../src/net/libc.ts';
import { writePointer } from '../../../src/stream/native/answer.ts';
import type { Native } from '../../../src/stream/native/sodium.ts';
import { addressOf, PORT } from './place.ts';

const IP_PKTINFO = 8;
const SO_RCVBUFFORCE = 33;
const BUFFER_BYTES = 64 << 20;

const BATCH = 64;
/** An ATTACH with its ticket. */
const OUT_BYTES = 1_024;
/** An ATTACHED has 88; of DATA the header is enough. */
const IN_BYTES = 128;
const MESSAGE_BYTES = 64;
const IOV_BYTES = 16;
/** IP_PKTINFO and UDP_GRO. */
const CONTROL_BYTES = 64;
const PKTINFO_BYTES = 32;

/** A device of the prefix, where its packet lies in `slab`, its length, and the length of each of the packets that the kernel put together for it. */
export type Take = (device: number, at: number, got: number, each: number) => void;

/** The messages of one direction, in a slab. */
interface Half {
  readonly slab: Buffer;
  readonly words: Int32Array;
  readonly at: number;
  readonly messages: number;
  readonly iovs: number;
  readonly controls: number;
}

export class Post {
  readonly #c: Native;
  readonly #fd: number;
  readonly #out: Half;
  readonly #in: Half;
  #queued = 0;

  constructor(c: Native, server: string) {
    this.#c = c;
    this.#fd = c.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
    for (const [level, name, value] of [
      [SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES],
      [IPPROTO_IP, IP_PKTINFO, 1],
      [SOL_UDP, UDP_GRO, 1],
    ] as const) {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(value);
      if (c.setsockopt(this.#fd, level, name, bytes, 4) < 0) throw new Error(`option ${name}: ${c.error()}`);
    }
    if (c.bind(this.#fd, socketAddress('0.0.0.0', PORT), 16) < 0) throw new Error(`bind: ${c.error()}`);
    this.#out = this.#half(OUT_BYTES);
    this.#in = this.#half(IN_BYTES);
    const { slab, at, messages, controls } = this.#out;
    const name = slab.length - 64;
    slab.set(socketAddress(server, PORT), name);
    for (let i = 0; i < BATCH; i++) {
      const [message, control] = [messages + i * MESSAGE_BYTES, controls + i * CONTROL_BYTES];
      writePointer(slab, at + name, message);
      slab.writeUInt32LE(16, message + 8);
      slab.writeUInt32LE(PKTINFO_BYTES, message + 40);
      slab.writeUInt32LE(28, control);
      slab.writeInt32LE(IPPROTO_IP, control + 8);
      slab.writeInt32LE(IP_PKTINFO, control + 12);
    }
  }

  #half(packetBytes: number): Half {
    const messages = BATCH * packetBytes;
    const iovs = messages + BATCH * MESSAGE_BYTES;
    const controls = iovs + BATCH * IOV_BYTES;
    const slab = Buffer.from(new ArrayBuffer(controls + BATCH * CONTROL_BYTES + 64));
    const at = this.#c.addressOf(slab);
    for (let i = 0; i < BATCH; i++) {
      const [message, iov] = [messages + i * MESSAGE_BYTES, iovs + i * IOV_BYTES];
      writePointer(slab, at + iov, message + 16);
      slab.writeUInt32LE(1, message + 24);
      writePointer(slab, at + controls + i * CONTROL_BYTES, message + 32);
      writePointer(slab, at + i * packetBytes, iov);
      slab.writeUInt32LE(packetBytes, iov + 8);
    }
    return { slab, words: new Int32Array(slab.buffer), at, messages, iovs, controls };
  }

  /** What is sent is written here, */
  get out(): Half {
    return this.#out;
  }

  /** and what came lies here while `receive` tells of it. */
  get in(): Half {
    return this.#in;
  }

  /** Where the next packet is to be written, by whom: `bytes` of it are sent at the latest with `flush`. */
  next(device: number, bytes: number): number {
    if (this.#queued === BATCH) this.flush();
    const { words, iovs, controls } = this.#out;
    const i = this.#queued++;
    words[(iovs + i * IOV_BYTES) / 4 + 2] = bytes;
    words[(controls + i * CONTROL_BYTES) / 4 + 5] = addressOf(device);
    return i * OUT_BYTES;
  }

  flush(): void {
    const queued = this.#queued;
    this.#queued = 0;
    for (let first = 0; first < queued; ) {
      const at = this.#out.at + this.#out.messages + first * MESSAGE_BYTES;
      const sent = this.#c.sendmmsg(this.#fd, at, queued - first, 0);
      if (sent <= 0) throw new Error(`the crowd cannot send: ${this.#c.error()}`);
      first += sent;
    }
  }

  /** One batch of what has arrived; how many. */
  receive(take: Take): number {
    const { words, at, messages, controls } = this.#in;
    for (let i = 0; i < BATCH; i++) words[(messages + i * MESSAGE_BYTES) / 4 + 10] = CONTROL_BYTES;
    const many = this.#c.recvmmsg(this.#fd, at + messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, 0);
    for (let i = 0; i < many; i++) {
      const got = words[(messages + i * MESSAGE_BYTES) / 4 + 14] ?? 0;
      let control = (controls + i * CONTROL_BYTES) / 4;
      let each = got;
      // UDP_GRO comes first, if at all.
      if (words[control + 2] === SOL_UDP) {
        each = words[control + 4] ?? got;
        control += 6;
      }
      const to = words[control + 6] ?? 0;
      take(((to >>> 16) & 0xff) * 256 + (to >>> 24), i * IN_BYTES, got, each);
    }
    return Math.max(0, many);
  }
}
