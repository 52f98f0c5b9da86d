/**
 * PONGs on their way out: hot and ugly on purpose, as answers are (answer.ts). Each idle device sends a PING a second, so 20,000 of them are what an
 * idle server does all day. Those of one recvmmsg leave in one sendmmsg.
 */
import { count } from '../counters.ts';
import { STATES } from '../fields.ts';
import { KEY_AT } from '../keys.ts';
import type { Settings } from '../shard.ts';
import { PROTOCOL_VERSION, TYPES } from '../wire.ts';
import { ANSWER_FLAGS, type Hot, MESSAGE_BYTES, swap, writePointer } from './answer.ts';
import type { Native } from './sodium.ts';

/** 32 bytes and the tag. */
const PONG_BYTES = 48;
const SIGNED_BYTES = 32;
const PLACE_BYTES = 64;
const NAME_BYTES = 16;
const IOV_BYTES = 16;

export class Pongs {
  readonly #libc: Native;
  readonly #fd: number;
  readonly #counters: Float64Array;
  readonly #most: number;
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #names: number;
  readonly #messages: number;
  #queued = 0;

  /** @param most of one recvmmsg; more leave in between. */
  constructor(libc: Native, fd: number, most: number, counters: Float64Array) {
    this.#libc = libc;
    this.#fd = fd;
    this.#most = most;
    this.#counters = counters;
    this.#names = most * PLACE_BYTES;
    const iovs = this.#names + most * NAME_BYTES;
    this.#messages = iovs + most * IOV_BYTES;
    const slab = Buffer.from(new ArrayBuffer(this.#messages + most * MESSAGE_BYTES));
    this.#words = new Int32Array(slab.buffer);
    this.#at = libc.addressOf(slab);
    for (let i = 0; i < most; i++) {
      const [place, message, iov] = [i * PLACE_BYTES, this.#messages + i * MESSAGE_BYTES, iovs + i * IOV_BYTES];
      slab[place] = TYPES.PONG;
      slab[place + 1] = PROTOCOL_VERSION;
      writePointer(slab, this.#at + this.#names + i * NAME_BYTES, message);
      slab.writeUInt32LE(NAME_BYTES, message + 8);
      writePointer(slab, this.#at + iov, message + 16);
      slab.writeUInt32LE(1, message + 24);
      writePointer(slab, this.#at + place, iov);
      slab.writeUInt32LE(PONG_BYTES, iov + 8);
    }
  }

  /** Answers the PING that lies at `ping` in these words, at the latest with `flush`. */
  add(hot: Hot, words: Int32Array, ping: number, { state, loadPercent, listVersion }: Settings): void {
    if (this.#queued === this.#most) this.flush();
    const i = this.#queued++;
    const { session } = hot;
    session.sent++;
    const w = this.#words;
    const to = (i * PLACE_BYTES) / 4;
    const high = Math.floor(session.sent / 0x1_0000_0000);
    w[to + 1] = hot.idWord;
    w[to + 2] = swap(high);
    w[to + 3] = swap(session.sent - high * 0x1_0000_0000);
    w[to + 4] = STATES[state] | (loadPercent << 8);
    w[to + 5] = swap(listVersion);
    w[to + 6] = words[ping + 6] ?? 0; // opaque
    w[to + 7] = words[ping + 7] ?? 0;
    const at = this.#at + i * PLACE_BYTES;
    this.#libc.siphash(at + SIGNED_BYTES, at, SIGNED_BYTES, hot.keysAt + KEY_AT.serverTag);
    const name = (this.#names + i * NAME_BYTES) / 4;
    w[name] = hot.name0;
    w[name + 1] = hot.name1;
  }

  /** How many left, or were dropped and counted, as the kernel did not take them: the client asks again. */
  flush(): number {
    const queued = this.#queued;
    this.#queued = 0;
    for (let first = 0; first < queued; ) {
      const at = this.#at + this.#messages + first * MESSAGE_BYTES;
      const sent = this.#libc.sendmmsg(this.#fd, at, queued - first, ANSWER_FLAGS);
      if (sent > 0) {
        count(this.#counters, 'packetsOut', sent);
        count(this.#counters, 'bytesOut', sent * PONG_BYTES);
      } else count(this.#counters, 'dropSendFailed');
      first += Math.max(1, sent);
    }
    return queued;
  }
}
