/**
 * One thread of the native transport: a loop over ppoll, recvmmsg and, for a READ whose blocks are in the page cache, one SipHash, a look whether they
 * are, and a quarter of a sendmmsg. Hot and ugly on purpose. Everything that is not such a READ goes to session.ts, packet by packet, as in the plain
 * twin: the fast path changes nothing before it knows that the READ is good, so a bad one is judged (and counted) there.
 *
 * The thread never returns to its event loop: orders come through a MessagePort that is read when an eventfd says so.
 */
import { readFileSync } from 'node:fs';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { PIECE_BYTES } from '../../image/tree/pieces.ts';
import { errorMessage } from '../../kit/errors.ts';
import {
  EOPNOTSUPP,
  MSG_DONTWAIT,
  MSG_TRUNC,
  POLLIN,
  RWF_NOWAIT,
  socketAddress,
  socketMemory,
} from '../../net/libc.ts';
import type { Own } from '../../net/source.ts';
import type { Peer } from '../cookie.ts';
import { count } from '../counters.ts';
import { FD, rowOf, SHIFT } from '../extents.ts';
import { TICK_MS } from '../limits.ts';
import type { Role } from '../packet.ts';
import { readable, startRead, wait, waitFor } from '../reads.ts';
import { obey, receive, takeRole, tick } from '../session.ts';
import {
  type Effect,
  type Identity,
  makeShard,
  type Order,
  type ServedDisk,
  type Session,
  type Settings,
  type Shard,
} from '../shard.ts';
import type { Report } from '../transport.ts';
import { PROTOCOL_VERSION, ROLES, TYPES } from '../wire.ts';
import { type Hot, swap, writePointer } from './answer.ts';
import { Answers } from './answers.ts';
import { Backlog } from './backlog.ts';
import { LeafPages } from './leaves.ts';
import { Mappings } from './mappings.ts';
import { silentNeighbours } from './neighbours.ts';
import { Pace } from './pace.ts';
import { Pongs } from './pongs.ts';
import { pooledRandom } from './random.ts';
import type { Native } from './sodium.ts';

export interface LoopOptions {
  readonly identity: Identity;
  readonly settings: Settings;
  readonly socket: number;
  /** The main thread writes it after each order. */
  readonly wake: number;
  readonly counters: Float64Array;
  readonly own: Own;
  readonly port: MessagePort;
}

export type LoopOrder = Order | { readonly kind: 'stop' };

/** Packets taken by one recvmmsg. */
const BATCH = 64;
/** A LOGIN with the longest token has 1,112 bytes; longer packets are cut and dropped. */
const PACKET_BYTES = 1_280;
const MMSG_BYTES = 64;
const IOV_BYTES = 16;
const NAME_BYTES = 16;
const POLL_FD_BYTES = 8;
/** READs and PINGs. */
const READ_BYTES = 48;
const SIP_INPUT_BYTES = 32;
/** The table of 20,000 neighbours takes 20 ms to read. */
const SILENT_LOOK_MS = 500;
const SILENT_TELL_MS = 1_000;
/** Of this thread's network namespace. */
const ARP_TABLE = '/proc/thread-self/net/arp';
/** Batches between two looks at the orders while packets never stop coming. After a batch of one there is most likely none: ppoll says so, at the cost of looking. */
const BATCHES_PER_LOOK = 16;
/**
 * What is neither a READ nor a PING has a turn of so many ms between them, however much of it there is: 20,000 devices that attach at once are a second
 * of work, and READs do not queue behind it. The rest waits here; what is above is dropped, and its sender asks again.
 */
const OTHERS_MS = 2;
/** Who asked has asked again by then, and takes no answer to what came before: to give it would keep all others waiting as long. */
const STALE_MS = 250;
/** See pace.ts. */
const CALM_NS = 1_000_000;
/** The main thread is told of sessions so often, and of so many at a time. */
const TELL_MS = 10;
const MAX_REPORTS = 256;
const MAX_WAITING = 4_096;

const PACKETS = 0;
const MESSAGES = PACKETS + BATCH * PACKET_BYTES;
const IOVS = MESSAGES + BATCH * MMSG_BYTES;
const NAMES = IOVS + BATCH * IOV_BYTES;
const POLL = NAMES + BATCH * NAME_BYTES;
const TIMEOUT = POLL + 16;
const NO_TIMEOUT = TIMEOUT + 16;
const CALM = NO_TIMEOUT + 16;
const TELL = CALM + 16;
const TAG = TELL + 16;
const EVENT = TAG + 16;
const OUT = EVENT + 64;
const OUT_BYTES = 2_048;
const OUT_NAME = OUT + OUT_BYTES;
const SLAB_BYTES = OUT_NAME + 64;

/** In the order of their numbers on the wire. */
const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

/** 64 bits, big-endian; above 2⁵³ it is no exact number, and no packet has it. */
const numberAt = (words: Int32Array, at: number): number =>
  (swap(words[at] ?? 0) >>> 0) * 0x1_0000_0000 + (swap(words[at + 1] ?? 0) >>> 0);

/** Of the word of a PING in which its role and its bad reads lie. A number that grew is told by session.ts. */
const badReadsAt = (words: Int32Array, at: number): number => swap(words[at] ?? 0) & 0xffff;

/** Of a `sockaddr_in`. */
const peerOf = (name: Buffer): Peer => ({
  host: `${name[4]}.${name[5]}.${name[6]}.${name[7]}`,
  port: name.readUInt16BE(2),
});

export class Loop {
  readonly #libc: Native;
  readonly #options: LoopOptions;
  readonly #slab = Buffer.alloc(SLAB_BYTES);
  readonly #words = new Int32Array(this.#slab.buffer, this.#slab.byteOffset, SLAB_BYTES / 4);
  readonly #at: number;
  readonly #shard: Shard;
  readonly #answers: Answers;
  readonly #pongs: Pongs;
  readonly #pace = new Pace();
  /** Packets of a batch that the fast path did not take, */
  readonly #others = new Uint8Array(BATCH);
  /** and those of batches before it. */
  readonly #waiting = new Backlog(MAX_WAITING, PACKET_BYTES, NAME_BYTES);
  /** By the session id as it lies in memory. */
  readonly #hot = new Map<number, Hot>();
  /** Disks whose file system does not know RWF_NOWAIT (NFS, FUSE): the main thread reads them. */
  readonly #blocking = new Set<number>();
  /** What answers are sent from in mode Trusted and in suite 3: the tag of suite 1 is computed over data that nobody can cut. */
  readonly #mappings: Mappings;
  /** From the first session of suite 3 on. */
  #leaves: LeafPages | undefined;
  /** Sessions that are `silent`, and when the kernel's table was read last. */
  #silent = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #stopped = false;
  /** For the main thread. */
  #reports: Report[] = [];
  #isUrgent = false;
  #toldMs = 0;

  constructor(libc: Native, options: LoopOptions) {
    this.#libc = libc;
    this.#options = options;
    const { identity, settings, counters, socket, wake, own } = options;
    const edge = { sip: libc.sip, hkdf: libc.hkdf, random: pooledRandom(), counters, wallMs: Date.now, own };
    this.#shard = makeShard(identity, settings, edge);
    this.#answers = new Answers(libc, socket, identity.mode === 'Authenticated', counters);
    this.#pongs = new Pongs(libc, socket, BATCH, counters);
    this.#mappings = new Mappings(libc);
    this.#at = libc.addressOf(this.#slab);
    const slab = this.#slab;
    for (let i = 0; i < BATCH; i++) {
      const [message, iov] = [MESSAGES + i * MMSG_BYTES, IOVS + i * IOV_BYTES];
      writePointer(slab, this.#at + NAMES + i * NAME_BYTES, message);
      slab.writeUInt32LE(NAME_BYTES, message + 8);
      writePointer(slab, this.#at + iov, message + 16);
      slab.writeUInt32LE(1, message + 24);
      writePointer(slab, this.#at + PACKETS + i * PACKET_BYTES, iov);
      slab.writeUInt32LE(PACKET_BYTES, iov + 8);
    }
    slab.writeInt32LE(socket, POLL);
    slab.writeInt16LE(POLLIN, POLL + 4);
    slab.writeInt32LE(wake, POLL + 8);
    slab.writeInt16LE(POLLIN, POLL + 12);
    slab.writeUInt32LE(TICK_MS * 1_000_000, TIMEOUT + 8);
    slab.writeUInt32LE(CALM_NS, CALM + 8);
    slab.writeUInt32LE(TELL_MS * 1_000_000, TELL + 8);
  }

  /** Until an order says stop. */
  run(): void {
    let ticked = 0;
    while (!this.#stopped) {
      this.#sleep();
      count(this.#options.counters, 'turns');
      let now = performance.now();
      const words = this.#words;
      if ((words[POLL / 4 + 1] ?? 0) >>> 16 !== 0)
        for (let batch = 0; batch < BATCHES_PER_LOOK && this.#batch(now) > 1; batch++) now = performance.now();
      this.#catchUp();
      if ((words[POLL / 4 + 3] ?? 0) >>> 16 !== 0) this.#orders(now);
      if (now - ticked >= TICK_MS) {
        ticked = now;
        this.#perform(tick(this.#shard, now));
        this.#findSilent(now);
        this.#mappings.trim();
      }
      this.#tell(now);
    }
    this.#tell(Number.POSITIVE_INFINITY);
    this.#mappings.keep(new Set());
  }

  /** Until something comes: an order at once, packets a moment later while all is calm. */
  #sleep(): void {
    const { ppoll } = this.#libc;
    const [polls, waits] = [this.#at + POLL, this.#waiting.length > 0];
    if (this.#pace.isCalm && !waits) ppoll(polls + POLL_FD_BYTES, 1, this.#at + CALM, 0);
    ppoll(polls, 2, this.#at + (waits ? NO_TIMEOUT : this.#reports.length > 0 ? TELL : TIMEOUT), 0);
  }

  /** One recvmmsg and its packets; how many there were: after one alone there is mostly no other. READs come first: a LOGIN costs as much as ten of them, and rubbish LOGINs are for anybody. */
  #batch(now: number): number {
    const { socket, counters } = this.#options;
    const packets = this.#libc.recvmmsg(socket, this.#at + MESSAGES, BATCH, MSG_DONTWAIT, 0);
    // EAGAIN, or an ICMP error of an earlier send, which is over once it was told.
    if (packets <= 0) return 0;
    let bytes = 0;
    let others = 0;
    for (let i = 0; i < packets; i++) {
      const length = this.#words[(MESSAGES + i * MMSG_BYTES) / 4 + 14] ?? 0;
      bytes += length;
      if (length !== READ_BYTES || !(this.#read(i, now) || this.#ping(i, now))) this.#others[others++] = i;
    }
    this.#answers.flush();
    const pings = this.#pongs.flush();
    this.#pace.add(packets - others - pings, pings, now);
    for (const i of this.#others.subarray(0, others)) this.#later(i, now);
    this.#tell(now);
    count(counters, 'packetsIn', packets);
    count(counters, 'bytesIn', bytes);
    return packets;
  }

  #later(i: number, now: number): void {
    const { counters } = this.#options;
    const message = (MESSAGES + i * MMSG_BYTES) / 4;
    if (((this.#words[message + 12] ?? 0) & MSG_TRUNC) !== 0) {
      count(counters, 'dropMalformed');
      return;
    }
    const [at, name] = [PACKETS + i * PACKET_BYTES, NAMES + i * NAME_BYTES];
    const bytes = this.#slab.subarray(at, at + (this.#words[message + 14] ?? 0));
    if (!this.#waiting.push(bytes, this.#slab.subarray(name, name + NAME_BYTES), now)) count(counters, 'dropBusy');
  }

  /** What waits, in the order in which it came; one packet at least. */
  #catchUp(): void {
    const end = performance.now() + OTHERS_MS;
    for (let now = end - OTHERS_MS; now < end && this.#waiting.length > 0; now = performance.now()) {
      const next = this.#waiting.shift();
      if (!next) break;
      if (now - next.cameMs > STALE_MS) count(this.#options.counters, 'dropBusy');
      else this.#other(next.packet, peerOf(next.name), now);
    }
    this.#answers.flush();
  }

  #other(bytes: Buffer, from: Peer, now: number): void {
    try {
      this.#perform(receive(this.#shard, bytes, from, now));
    } catch (thrown) {
      count(this.#options.counters, 'dropFault');
      this.#report({ kind: 'fault', message: errorMessage(thrown) });
    }
  }

  /** A PING of a session that may stream; a READ's way, and its answer is made here. */
  #ping(i: number, now: number): boolean {
    const words = this.#words;
    const at = (PACKETS + i * PACKET_BYTES) / 4;
    const hot = this.#sender(i, TYPES.PING);
    const role = ROLE_NAMES[(words[at + 4] ?? 0) & 0xff];
    if (!hot || !role) return false;
    const { session } = hot;
    const number = numberAt(words, at + 2);
    if (badReadsAt(words, at + 4) !== session.badReads) return false;
    if (number > Number.MAX_SAFE_INTEGER || session.refused || !session.window.accept(number)) return false;
    session.seenMs = now;
    if (session.role !== role) this.#perform(takeRole(this.#shard, session, role, now));
    this.#pongs.add(hot, words, at, this.#shard.settings);
    return true;
  }

  /** Whose packet of that type this is: session, address and tag are right. */
  #sender(i: number, type: number): Hot | undefined {
    const words = this.#words;
    const packet = PACKETS + i * PACKET_BYTES;
    const at = packet / 4;
    const name = (NAMES + i * NAME_BYTES) / 4;
    if (this.#slab[packet] !== type || this.#slab[packet + 1] !== PROTOCOL_VERSION) return undefined;
    const hot = this.#hot.get(words[at + 1] ?? 0);
    if (!hot || hot.name0 !== words[name] || hot.name1 !== words[name + 1]) return undefined;
    const tag = TAG / 4;
    this.#libc.siphash(this.#at + TAG, this.#at + packet, SIP_INPUT_BYTES, hot.keysAt);
    const wrong =
      ((words[tag] ?? 0) ^ (words[at + 8] ?? 0)) |
      ((words[tag + 1] ?? 0) ^ (words[at + 9] ?? 0)) |
      ((words[tag + 2] ?? 0) ^ (words[at + 10] ?? 0)) |
      ((words[tag + 3] ?? 0) ^ (words[at + 11] ?? 0));
    return wrong === 0 ? hot : undefined;
  }

  /** The fast path. False, with nothing changed: not a READ that can be answered here. */
  #read(i: number, now: number): boolean {
    const words = this.#words;
    const slab = this.#slab;
    const packet = PACKETS + i * PACKET_BYTES;
    const at = packet / 4;
    const hot = this.#sender(i, TYPES.READ);
    if (!hot) return false;
    const number = numberAt(words, at + 2);
    const offset = numberAt(words, at + 4);
    const length = swap(words[at + 6] ?? 0) >>> 0;
    const hedged = ((slab[packet + 31] ?? 0) & 1) === 1;
    if (number > Number.MAX_SAFE_INTEGER || offset > Number.MAX_SAFE_INTEGER || offset % 512 !== 0) return false;
    if (length === 0 || length > 65_536 || length % 512 !== 0) return false;
    const { session } = hot;
    const disk = readable(this.#shard, session, offset, length);
    if (typeof disk === 'string' || !session.window.accept(number)) return false;

    session.seenMs = now;
    if (session.role !== 'serve' && !hedged) this.#perform(takeRole(this.#shard, session, 'serve', now));
    if (hot.silent) {
      this.#tellSilent(hot, number, now);
      return true;
    }
    if (this.#cached(session, disk, offset, length)) {
      this.#answers.next.headFromRead(words, at);
      this.#answers.send(hot, length);
      return true;
    }
    const bytes = slab.subarray(packet + SIP_INPUT_BYTES, packet + READ_BYTES);
    this.#perform(startRead(this.#shard, session, disk, number, offset, length, bytes));
    return true;
  }

  /** A packet that is small, and that makes the kernel ask for the neighbour again. */
  #tellSilent(hot: Hot, request: number, now: number): void {
    count(this.#options.counters, 'dropSilentNeighbour');
    if (now - hot.toldMs < SILENT_TELL_MS) return;
    hot.toldMs = now;
    this.#perform([waitFor(this.#shard, hot.session, request)]);
  }

  /** When the send buffer fills: finds the sessions whose neighbours hold it. Looks on while there are any. */
  #findSilent(now: number): void {
    if (now - this.#lookedMs < SILENT_LOOK_MS) return;
    const { sending, sendMost } = socketMemory(this.#libc, this.#options.socket);
    if (this.#silent === 0 && sending < sendMost / 8) return;
    this.#lookedMs = now;
    const silent = silentNeighbours(readFileSync(ARP_TABLE, 'utf8'));
    this.#silent = 0;
    for (const hot of this.#hot.values()) {
      hot.silent = silent.has(hot.session.peer.host);
      if (hot.silent) this.#silent++;
    }
  }

  /** Gives the next answer its data, and what its tag is of, when all of it is in the page cache. If not: a miss, or a file that was cut; the main thread finds out. */
  #cached({ suite }: Session, disk: ServedDisk, offset: number, length: number): boolean {
    if (this.#options.identity.mode === 'Trusted') return this.#data(disk, offset, length, true);
    if (suite === 'Aead') return this.#data(disk, offset, length, false);
    this.#leaves ??= new LeafPages(this.#libc);
    if (this.#leaves.reach(disk)) return this.#proved(this.#leaves, disk, offset, length);
    // Its table was taken away under the session, or cannot be read without waiting.
    const read = this.#data(disk, offset, length, false);
    if (read) this.#answers.next.hash(offset, length);
    return read;
  }

  /** Whole pieces are tagged by their leaves, unread. Of what is less, the whole is read and compared, and its part hashed. */
  #proved(leaves: LeafPages, disk: ServedDisk, offset: number, length: number): boolean {
    const answer = this.#answers.next;
    const begin = offset - (offset % PIECE_BYTES);
    const end = Math.min(Math.ceil((offset + length) / PIECE_BYTES) * PIECE_BYTES, disk.sizeBytes);
    if (!answer.takeLeaves(leaves, disk, begin / PIECE_BYTES, Math.ceil((end - begin) / PIECE_BYTES))) return false;
    if (end - begin === length) return this.#data(disk, offset, length, true);
    if (!this.#data(disk, begin, end - begin, false) || !answer.isProved(begin, end - begin)) return false;
    answer.skip(offset - begin);
    answer.hash(offset, length);
    return true;
  }

  /** `mapped`: nothing but the kernel reads it, so it may be sent from where it lies. */
  #data({ id, extents: { rows } }: ServedDisk, offset: number, length: number, mapped: boolean): boolean {
    const row = rowOf(rows, offset, length);
    if (row < 0 || this.#blocking.has(id)) return false;
    const fileOffset = offset + (rows[row + SHIFT] ?? 0);
    const fd = rows[row + FD] ?? -1;
    const answer = this.#answers.next;
    const mapAt = mapped ? this.#mappings.of(fd, fileOffset + length) : 0;
    if (mapAt !== 0) return answer.map(mapAt, fd, fileOffset, length);
    const read = answer.read(fd, fileOffset, length, RWF_NOWAIT);
    if (read < 0 && this.#libc.errno() === EOPNOTSUPP) this.#blocking.add(id);
    if (read === length && mapped) this.#mappings.add(fd);
    return read === length;
  }

  #orders(now: number): void {
    this.#libc.read(this.#options.wake, this.#at + EVENT, 8);
    for (;;) {
      const received = receiveMessageOnPort(this.#options.port);
      if (!received) return;
      const order: LoopOrder = received.message;
      if (order.kind === 'stop') this.#stopped = true;
      else this.#perform(obey(this.#shard, order, now));
      if (order.kind === 'disks') this.#unmap();
      if ('id' in order) this.#report({ kind: 'applied', id: order.id });
    }
  }

  /** Files of disks that were taken away. */
  #unmap(): void {
    const disks = [...this.#shard.disks.values()];
    this.#mappings.keep(new Set(disks.flatMap(({ extents }) => extents.fds)));
  }

  #report(report: Report): void {
    this.#reports.push(report);
    if (report.kind !== 'session') this.#isUrgent = true;
  }

  /** What is to be told, in one message: a message and a thread that wakes for it cost half of an ATTACH. Of sessions, where nobody waits, a little later. */
  #tell(now: number): void {
    if (this.#reports.length === 0) return;
    if (this.#isUrgent || this.#reports.length >= MAX_REPORTS || now - this.#toldMs >= TELL_MS) {
      this.#options.port.postMessage(this.#reports);
      this.#reports = [];
      this.#isUrgent = false;
      this.#toldMs = now;
    }
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.#send(effect.bytes, effect.to);
          break;
        case 'data': {
          const hot = this.#hotOf(effect.session);
          const { request, offset, length, tag } = effect.read;
          if (hot.silent) {
            count(this.#options.counters, 'dropSilentNeighbour');
            break;
          }
          this.#answers.next.fill(request, offset, tag, effect.bytes);
          if (effect.session.suite === 'HashThenMac') this.#answers.next.hash(offset, length);
          this.#answers.send(hot, length);
          this.#answers.flush();
          break;
        }
        case 'read':
          this.#report(effect);
          this.#perform(wait(this.#shard, effect.read));
          break;
        case 'session': {
          const { type, session } = effect.event;
          const known = this.#shard.sessions.get(session);
          if (type === 'attached' && known) this.#hotOf(known);
          if (type === 'left' || type === 'silent') this.#hot.delete(swap(session));
          this.#report(effect);
          break;
        }
        default:
          this.#report(effect);
      }
    }
  }

  #hotOf(session: Session): Hot {
    const known = this.#hot.get(swap(session.id));
    if (known) return known;
    const { host, port } = session.peer;
    const name = socketAddress(host, port);
    const hot: Hot = {
      session,
      idWord: swap(session.id),
      name0: name.readInt32LE(0),
      name1: name.readInt32LE(4),
      keysAt: this.#libc.addressOf(session.keys.all),
      segmentBytes: session.segmentBytes,
      gso: true,
      silent: false,
      toldMs: Number.NEGATIVE_INFINITY,
    };
    this.#hot.set(swap(session.id), hot);
    return hot;
  }

  #send(bytes: Buffer, to: Peer): void {
    const { socket, counters } = this.#options;
    if (bytes.length > OUT_BYTES) throw new Error(`a packet of ${bytes.length} bytes is no packet of the protocol`);
    this.#slab.set(bytes, OUT);
    this.#slab.set(socketAddress(to.host, to.port), OUT_NAME);
    const sent = this.#libc.sendto(socket, this.#at + OUT, bytes.length, MSG_DONTWAIT, this.#at + OUT_NAME, NAME_BYTES);
    count(counters, sent < 0 ? 'dropSendFailed' : 'packetsOut');
    if (sent > 0) count(counters, 'bytesOut', sent);
  }
}
