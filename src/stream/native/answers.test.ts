/** Answers over a real socket, with a kernel that takes as many at once as the test says. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../../test/setup/time.ts';
import { patternBytes } from '../../image/pattern/pattern.ts';
import { AF_INET, EAGAIN, EIO, SOCK_DGRAM_CLOEXEC, socketAddress } from '../../net/libc.ts';
import { makeCounters, sumCounters } from '../counters.ts';
import { decode, encode } from '../packet.ts';
import type { Session } from '../shard.ts';
import { DATA_HEADER_BYTES } from '../wire.ts';
import type { Hot } from './answer.ts';
import { Answers } from './answers.ts';
import { type Native, native } from './sodium.ts';

const SEGMENT_BYTES = 1_408;
/** One packet, one send of some, and one that takes several sends. */
const LENGTHS = [512, 4_096, 32_768, 65_536, 1_408, 32_768, 8_192, 512, 4_096];

let real: Native;
let receiver: Socket;
let packets: Buffer[];

beforeEach(async () => {
  const loaded = native();
  if (!loaded.ok) throw new Error(loaded.error.message);
  real = loaded.value;
  packets = [];
  receiver = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  receiver.on('message', (packet) => packets.push(packet));
  receiver.bind(0, '127.0.0.1');
  await once(receiver, 'listening');
});
afterEach(() => void receiver.close());

function aHot(): Hot {
  const name = socketAddress('127.0.0.1', receiver.address().port);
  return {
    session: { sent: 0 } as Session,
    idWord: 7,
    name0: name.readInt32LE(0),
    name1: name.readInt32LE(4),
    keysAt: 0,
    segmentBytes: SEGMENT_BYTES,
    gso: true,
    silent: false,
    toldMs: 0,
  };
}

/** What came, put together by the request that it answers. */
function answered(): Buffer[] {
  const answers = LENGTHS.map((length) => Buffer.alloc(length));
  for (const packet of packets) {
    const request = Number(packet.readBigUInt64BE(16));
    packet.copy(answers[request] as Buffer, packet.readUInt32BE(56), DATA_HEADER_BYTES);
  }
  return answers;
}

test.each<{ what: string; kernel: () => Partial<Native>; gso: boolean }>([
  { what: 'all that it is given', kernel: () => ({}), gso: true },
  {
    what: 'one at a time',
    kernel: () => ({ sendmmsg: (fd, at, _, flags) => real.sendmmsg(fd, at, 1, flags) }),
    gso: true,
  },
  { what: 'none together', kernel: () => ({ sendmmsg: () => -1 }), gso: true },
  {
    what: 'none while its buffer is full',
    kernel: () => {
      let tries = 0;
      return {
        sendmmsg: () => -1,
        sendmsg: (...args) => (tries++ === 0 ? -1 : real.sendmsg(...args)),
        errno: () => EAGAIN,
      };
    },
    gso: true,
  },
  {
    what: 'none that it should cut',
    kernel: () => {
      let tries = 0;
      return {
        sendmmsg: () => -1,
        // The first answer is one packet; the second is refused as a whole, and goes in pieces.
        sendmsg: (...args) => (tries++ === 1 ? -1 : real.sendmsg(...args)),
        errno: () => EIO,
      };
    },
    gso: false,
  },
])('the kernel takes $what: every answer comes, whole', async ({ kernel, gso }) => {
  const fd = real.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  const counters = makeCounters();
  const answers = new Answers({ ...real, ...kernel() }, fd, false, counters);
  const hot = aHot();
  for (const [request, length] of LENGTHS.entries()) {
    answers.next.fill(request, 0, Buffer.alloc(16), patternBytes(request * 65_536, length));
    answers.send(hot, length);
  }
  answers.flush();
  const segments = LENGTHS.reduce((sum, length) => sum + Math.ceil(length / SEGMENT_BYTES), 0);
  await until('all packets came', () => packets.length >= segments);
  expect(packets).toHaveLength(segments);
  for (const [request, data] of answered().entries())
    expect(data.equals(patternBytes(request * 65_536, data.length))).toBe(true);
  expect(hot.gso).toBe(gso);
  expect(sumCounters([counters])).toMatchObject({ dropSendFailed: 0, packetsOut: segments, reads: LENGTHS.length });
});

test('the words of a READ become the header of its DATA where the table has them', async () => {
  const length = 4_096;
  const fields = { session: 7, number: 2 ** 53 - 2, offset: 2 ** 53 - length, length } as const;
  const read = Buffer.from(Uint8Array.from(encode({ type: 'READ', ...fields, hedged: true })).buffer);
  read.set(patternBytes(0, 16), read.length - 16);
  const fd = real.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  const answers = new Answers(real, fd, false, makeCounters());
  const hot = { ...aHot(), idWord: read.readInt32LE(4), session: { sent: 2 ** 40 } as Session };
  answers.next.fill(0, 0, Buffer.alloc(16), patternBytes(0, length));
  answers.next.headFromRead(new Int32Array(read.buffer), 0);
  answers.send(hot, length);
  answers.flush();
  await until('all packets came', () => packets.length >= 3);
  const positions = [0, SEGMENT_BYTES, 2 * SEGMENT_BYTES];
  for (const [index, packet] of packets.entries()) {
    const decoded = decode(packet);
    if (!decoded.ok || decoded.value.type !== 'DATA') throw new Error('no DATA');
    const { answerTag, data, ...head } = decoded.value;
    const position = positions[index] ?? 0;
    const { session, number: request, offset } = fields;
    expect(head).toEqual({ type: 'DATA', session, number: 2 ** 40 + 1, request, offset, length, position });
    expect(Buffer.from(answerTag).equals(patternBytes(0, 16))).toBe(true);
    expect(Buffer.from(data).equals(patternBytes(0, length).subarray(position, position + SEGMENT_BYTES))).toBe(true);
    expect([packet.readUInt32BE(36), packet.readUInt32BE(60)]).toEqual([0, 0]);
  }
});
