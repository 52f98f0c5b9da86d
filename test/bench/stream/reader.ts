/**
 * The client of the stream bench, for our protocol and for NBD alike: reads `totalBytes` in reads of `length`, `depth` at a time, and compares every
 * byte with the file's. Native calls, so that it does not hold the server back; its own CPU is printed beside the server's.
 *
 *   node test/bench/stream/reader.ts '{"protocol":"stream"|"nbd", …}'   →   {"seconds","cpuSeconds","bytes","repeats"}
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { HASH_BYTES } from '../../../src/image/tree/pieces.ts';
import {
  AF_INET,
  SO_RCVBUF,
  SOCK_DGRAM_CLOEXEC,
  SOL_SOCKET,
  SOL_UDP,
  socketAddress,
  UDP_GRO,
} from '../../../src/net/libc.ts';
import { writeU64 } from '../../../src/stream/fields.ts';
import { attachKey, loginKeys, makeShare, sign, type TrafficKeys, trafficKeys } from '../../../src/stream/keys.ts';
import { writePointer } from '../../../src/stream/native/answer.ts';
import { type Native, native } from '../../../src/stream/native/sodium.ts';
import { decode, encode, type Packet, type Suite } from '../../../src/stream/packet.ts';
import { DATA_HEADER_BYTES, DATA_TAGGED_BYTES, TYPES } from '../../../src/stream/wire.ts';

export interface ReaderTask {
  readonly protocol: 'stream' | 'nbd';
  readonly host: string;
  readonly port: number;
  readonly file: string;
  readonly length: number;
  readonly depth: number;
  readonly totalBytes: number;
  /** Stream: so many reads a second, one after the other, as a device that works reads. Absent: as fast as they come. */
  readonly perSecond?: number;
  /** Stream: boot token in base64url, and the largest segment. */
  readonly token?: string;
  readonly maxSegmentBytes?: number;
}

export interface ReaderResult {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly bytes: number;
  /** READs sent again after 200 ms. */
  readonly repeats: number;
  /** Of the stream: what the server gave. */
  readonly segmentBytes?: number | undefined;
  /** Of reads at `perSecond`, from the question to the last byte. */
  readonly p99Ms?: number | undefined;
}

const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SO_RCVTIMEO = 20;
const MSG_WAITALL = 0x100;
const REPEAT_MS = 200;

const task: ReaderTask = JSON.parse(process.argv[2] ?? '{}');
const loaded = native();
if (!loaded.ok) throw new Error(loaded.error.message);
const c: Native = loaded.value;
const content = readFileSync(task.file);
const contentAt = c.addressOf(content);
const blocks = Math.floor(content.length / task.length);
const total = Math.floor(task.totalBytes / task.length);
/** The nth read: all over the file, in an order that no readahead guesses. */
const offsetOf = (n: number): number => ((n * 7_919) % blocks) * task.length;

let segmentBytes: number | undefined;
const times: number[] = [];
const client = task.protocol === 'nbd' ? nbd() : stream();
const cpu = process.cpuUsage();
const start = performance.now();
const repeats = client();
const used = process.cpuUsage(cpu);
const result: ReaderResult = {
  seconds: (performance.now() - start) / 1000,
  cpuSeconds: (used.user + used.system) / 1e6,
  bytes: total * task.length,
  repeats,
  segmentBytes,
  p99Ms: times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)],
};
console.log(JSON.stringify(result));

function option(fd: number, level: number, name: number, value: Buffer): void {
  if (c.setsockopt(fd, level, name, value, value.length) < 0) throw new Error(`setsockopt ${name}: ${c.errno()}`);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function open(type: number): number {
  const fd = c.socket(AF_INET, type, 0);
  if (c.connect(fd, socketAddress(task.host, task.port), 16) < 0) throw new Error(`connect: errno ${c.errno()}`);
  return fd;
}

/** NBD, fixed newstyle, simple replies: as plain as the protocol allows. */
function nbd(): () => number {
  const fd = open(SOCK_STREAM);
  option(fd, IPPROTO_TCP, TCP_NODELAY, int(1));
  const out = Buffer.alloc(4_096);
  const outAt = c.addressOf(out);
  const slab = Buffer.alloc(task.length + 4_096);
  const slabAt = c.addressOf(slab);
  const take = (bytes: number): void => {
    const got = c.recv(fd, slabAt, bytes, MSG_WAITALL);
    if (got !== bytes) throw new Error(`NBD: ${got} of ${bytes} bytes, errno ${c.errno()}`);
  };
  const give = (bytes: Buffer): void => {
    bytes.copy(out);
    if (c.send(fd, outAt, bytes.length, 0) !== bytes.length) throw new Error(`NBD: send, errno ${c.errno()}`);
  };
  take(18); // NBDMAGIC, IHAVEOPT, flags
  give(int(0x03_00_00_00)); // fixed newstyle, no zeroes
  give(Buffer.concat([Buffer.from('IHAVEOPT'), Buffer.from([0, 0, 0, 1]), Buffer.alloc(4)])); // export name ''
  take(10); // size, flags
  const request = Buffer.alloc(28);
  request.writeUInt32BE(0x25609513, 0);
  request.writeUInt32BE(task.length, 24);
  const ask = (n: number): void => {
    writeU64(request, n, 8);
    writeU64(request, offsetOf(n), 16);
    give(request);
  };
  return () => {
    let asked = 0;
    while (asked < Math.min(task.depth, total)) ask(asked++);
    for (let done = 0; done < total; done++) {
      take(16);
      if (slab.readUInt32BE(0) !== 0x67446698 || slab.readUInt32BE(4) !== 0) throw new Error('NBD: a read failed');
      const n = slab.readUInt32BE(12);
      take(task.length);
      if (c.memcmp(slabAt, contentAt + offsetOf(n), task.length) !== 0) throw new Error(`wrong data in read ${n}`);
      if (asked < total) ask(asked++);
    }
    return 0;
  };
}

/** Login and attach over one connected socket, then reads. */
function stream(): () => number {
  const fd = open(SOCK_DGRAM_CLOEXEC);
  option(fd, SOL_SOCKET, SO_RCVBUF, int(4 << 20));
  option(fd, SOL_UDP, UDP_GRO, int(1));
  const timeout = Buffer.alloc(16);
  timeout.writeUInt32LE(REPEAT_MS * 1_000, 8);
  option(fd, SOL_SOCKET, SO_RCVTIMEO, timeout);

  const slab = Buffer.alloc(65_536);
  const slabAt = c.addressOf(slab);
  const out = Buffer.alloc(2_048);
  const outAt = c.addressOf(out);
  const send = (bytes: Buffer): void => {
    bytes.copy(out);
    c.send(fd, outAt, bytes.length, 0);
  };
  const exchange = <Type extends Packet['type']>(request: Buffer, type: Type): Extract<Packet, { type: Type }> => {
    for (let attempt = 0; attempt < 20; attempt++) {
      send(request);
      const got = c.recv(fd, slabAt, slab.length, 0);
      const packet = got > 0 ? decode(Buffer.from(slab.subarray(0, got))) : undefined;
      if (packet?.ok && packet.value.type === type) return packet.value as Extract<Packet, { type: Type }>;
    }
    throw new Error(`no ${type}`);
  };
  const header = { session: 0, number: 0 };
  const nonce = randomBytes(16);
  const { cookie } = exchange(encode({ type: 'HELLO', ...header, nonce }), 'COOKIE');
  const share = makeShare();
  const token = Buffer.from(task.token ?? '', 'base64url');
  const login: Packet = {
    type: 'LOGIN',
    ...header,
    nonce,
    cookie,
    renew: false,
    redirected: false,
    share: share.bytes,
    token,
  };
  const ticket = exchange(encode(login), 'TICKET');
  const login2 = loginKeys(share, ticket.share, share.bytes, ticket.share);
  if (!login2.ok) throw new Error(login2.error.message);
  const { sessionKey } = login2.value;
  const maxSegmentBytes = task.maxSegmentBytes ?? 1_408;
  const attach = {
    type: 'ATTACH',
    ...header,
    nonce,
    cookie,
    maxSegmentBytes,
    role: 'serve',
    ticket: ticket.ticket,
  } as const;
  const attached = exchange(sign(c.sip, attachKey(sessionKey), encode(attach)), 'ATTACHED');
  const keys = trafficKeys(sessionKey, nonce, attached.serverNonce, attached.instance);
  segmentBytes = attached.segmentBytes;
  const suite = attached.mode === 'Authenticated' ? attached.suite : undefined;
  return () => streamReads(fd, attached.session, attached.segmentBytes, suite, keys);
}

interface Open {
  readonly n: number;
  readonly offset: number;
  /** The READ's tag as four words. */
  readonly tag: Uint32Array;
  missing: number;
  /** Of an answer that comes in pieces, in mode Authenticated: what its tag is of, put together. */
  tagged: Buffer | undefined;
}

/**
 * Answers come in one piece (UDP_GRO) and are scattered: headers to one place, the data of consecutive segments to one piece, compared at once, and its
 * tag checked where it lies.
 */
function streamReads(
  fd: number,
  session: number,
  segment: number,
  suite: Suite | undefined,
  keys: TrafficKeys,
): number {
  const authenticated = suite !== undefined;
  const most = Math.ceil(65_536 / (segment + DATA_HEADER_BYTES)) + 1;
  const DATA = most * DATA_HEADER_BYTES + DATA_TAGGED_BYTES;
  const IOVS = Math.ceil((DATA + 65_536 + segment) / 8) * 8;
  const MESSAGE = Math.ceil((IOVS + most * 32) / 64) * 64;
  const CONTROL = MESSAGE + 64;
  const slab = Buffer.alloc(CONTROL + 64);
  const words = new Uint32Array(slab.buffer, slab.byteOffset, slab.length / 4);
  const slabAt = c.addressOf(slab);
  for (let i = 0; i < most; i++) {
    writePointer(slab, slabAt + i * DATA_HEADER_BYTES, IOVS + i * 32);
    slab.writeUInt32LE(DATA_HEADER_BYTES, IOVS + i * 32 + 8);
    writePointer(slab, slabAt + DATA + i * segment, IOVS + i * 32 + 16);
    slab.writeUInt32LE(segment, IOVS + i * 32 + 24);
  }
  writePointer(slab, slabAt + IOVS, MESSAGE + 16);
  slab.writeUInt32LE(most * 2, MESSAGE + 24);
  writePointer(slab, slabAt + CONTROL, MESSAGE + 32);

  const request = Buffer.alloc(4_096);
  const requestWords = new Uint32Array(request.buffer, request.byteOffset, 16);
  const requestAt = c.addressOf(request);
  encode({ type: 'READ', session, number: 0, offset: 0, length: task.length, hedged: false }).copy(request);
  request.set(keys.clientTag, 1_024);
  const [KEY, NONCE, TAG, PROOF] = [2_048, 2_112, 2_176, 2_304];
  request.set(keys.serverData, KEY);
  /** The answer tag of what lies here: `DATA_TAGGED_BYTES` of the header in `slab`, which this fills in, and the data. */
  const isTagged = (at: number, headAt: Buffer, position: number, offset: number): boolean => {
    if (suite === 'HashThenMac') {
      slab.copy(request, PROOF, 0, DATA_TAGGED_BYTES);
      const hashesAt = requestAt + PROOF + DATA_TAGGED_BYTES;
      const hashes = c.hashPieces(hashesAt, offset, at + DATA_TAGGED_BYTES, task.length) * HASH_BYTES;
      c.siphash(requestAt + TAG, requestAt + PROOF, DATA_TAGGED_BYTES + hashes, requestAt + KEY);
    } else {
      slab.copy(headAt, position, 0, DATA_TAGGED_BYTES);
      slab.copy(request, NONCE + 4, 8, 16);
      c.aeadTag(requestAt + TAG, at, DATA_TAGGED_BYTES + task.length, requestAt + NONCE, requestAt + KEY);
    }
    return request.compare(slab, DATA_TAGGED_BYTES, DATA_TAGGED_BYTES + 16, TAG, TAG + 16) === 0;
  };
  const open = new Map<number, Open>();
  let number = 0;
  const ask = (n: number): void => {
    const offset = offsetOf(n);
    writeU64(request, ++number, 8);
    writeU64(request, offset, 16);
    c.siphash(requestAt + 32, requestAt, 32, requestAt + 1_024);
    c.send(fd, requestAt, 48, 0);
    open.set(number, { n, offset, tag: requestWords.slice(8, 12), missing: task.length, tagged: undefined });
  };
  const wrong = (what: string): never => {
    throw new Error(`wrong ${what}`);
  };
  /** One received piece: segments of one answer, one after the other. */
  const piece = (got: number, each: number): void => {
    const read = open.get(slab.readUInt32BE(20));
    if (slab[0] !== TYPES.DATA || slab.readUInt32BE(4) !== session || !read) return;
    const first = slab.readUInt32BE(56);
    const segments = Math.ceil(got / each);
    for (let i = 0; i < segments; i++) {
      const header = (i * DATA_HEADER_BYTES) / 4;
      for (let word = 1; word < 14; word++) if (words[header + word] !== words[word]) wrong('header');
      if (slab.readUInt32BE(i * DATA_HEADER_BYTES + 56) !== first + i * segment) wrong('position');
    }
    const tag = read.tag;
    const same = words[10] === tag[0] && words[11] === tag[1] && words[12] === tag[2] && words[13] === tag[3];
    if (!authenticated && !same) wrong('answer tag');
    const bytes = got - segments * DATA_HEADER_BYTES;
    if (bytes > read.missing) wrong('length');
    if (c.memcmp(slabAt + DATA, contentAt + read.offset + first, bytes) !== 0) wrong(`data in read ${read.n}`);
    read.missing -= bytes;
    if (authenticated && bytes < task.length) {
      read.tagged ??= Buffer.allocUnsafeSlow(DATA_TAGGED_BYTES + task.length);
      slab.copy(read.tagged, DATA_TAGGED_BYTES + first, DATA, DATA + bytes);
    }
    if (read.missing > 0) return;
    const [at, bytesAt, position] = read.tagged
      ? [c.addressOf(read.tagged), read.tagged, 0]
      : [slabAt + DATA - DATA_TAGGED_BYTES, slab, DATA - DATA_TAGGED_BYTES];
    if (authenticated && !isTagged(at, bytesAt, position, read.offset)) wrong('answer tag');
    open.delete(slab.readUInt32BE(20));
    done++;
    if (task.perSecond) paced(task.perSecond);
    else if (asked < total) ask(asked++);
  };
  const began = performance.now();
  let askedAt = began;
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  /** After an answer: its time, and the next question when that is due. */
  const paced = (perSecond: number): void => {
    times.push(performance.now() - askedAt);
    if (asked === total) return;
    const restMs = began + (asked * 1_000) / perSecond - performance.now();
    if (restMs > 0) Atomics.wait(sleeper, 0, 0, restMs);
    askedAt = performance.now();
    ask(asked++);
  };
  let [asked, done, repeats] = [0, 0, 0];
  while (asked < Math.min(task.depth, total)) ask(asked++);
  while (done < total) {
    slab.writeUInt32LE(64, MESSAGE + 40);
    const got = c.recvmsg(fd, slabAt + MESSAGE, 0);
    if (got <= 0) {
      const lost = [...open.values()];
      open.clear();
      repeats += lost.length;
      for (const { n } of lost) ask(n);
      continue;
    }
    // The control message of UDP_GRO says how long each packet of the piece is.
    piece(got, slab.readUInt32LE(MESSAGE + 40) >= 20 ? slab.readInt32LE(CONTROL + 16) : got);
  }
  return repeats;
}
