/** Bad input: 100,000 packets at the decoder, and as many as a second allows at a live server of each kind. Seeds are fixed and printed. */
import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sealBootToken } from '../../src/farm/token.ts';
import { patternDisk, patternMismatch } from '../../src/image/pattern/pattern.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import { decode, encode } from '../../src/stream/packet.ts';
import { type StreamServer, startStreamServer } from '../../src/stream/server.ts';
import { TYPES } from '../../src/stream/wire.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { mutated } from '../builders/mutations.ts';
import { attachPacket, StreamClient } from '../contract/stream-client.ts';

const PACKETS = 100_000;
const SEED = 20_261_123;
const SIZE = 1 << 20;
const RING: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 7)]]) };
const REF = { vdisk: 'lab', version: 0, manifest: 'ab'.repeat(32) };
const TOKEN = { ...REF, device: 'pc1', mac: '52:54:00:00:00:01', site: 'paris', expires: 4e9 };

/** Good packets of every direction, to be altered. */
const GOOD: readonly Buffer[] = [
  encode({ type: 'HELLO', session: 0, number: 0, nonce: Buffer.alloc(16, 3) }),
  encode({
    type: 'LOGIN',
    session: 0,
    number: 0,
    nonce: Buffer.alloc(16, 3),
    cookie: Buffer.alloc(20),
    renew: false,
    redirected: false,
    share: Buffer.alloc(32, 9),
    token: Buffer.from(sealBootToken(RING, TOKEN)),
  }),
  attachPacket(Buffer.alloc(32), Buffer.alloc(300, 1), Buffer.alloc(20)),
  encode({ type: 'READ', session: 5, number: 1, offset: 0, length: 4_096, hedged: false }),
  encode({ type: 'PING', session: 5, number: 1, role: 'serve', badReads: 0, listVersion: 0, opaque: Buffer.alloc(8) }),
  encode({ type: 'SERVERS', session: 5, number: 1, listVersion: 0 }),
  encode({ type: 'BYE', session: 5, number: 1, reason: 'Leaving' }),
  encode({
    type: 'LIST',
    session: 5,
    number: 1,
    listVersion: 1,
    servers: [{ host: '10.0.0.1', port: 6910, state: 'Streaming' }],
  }),
  encode({
    type: 'DATA',
    session: 5,
    number: 1,
    request: 1,
    offset: 0,
    length: 512,
    answerTag: Buffer.alloc(16),
    position: 0,
    data: Buffer.alloc(512),
  }),
];

/** Random bytes, random bytes behind a good header, or a good packet with bytes changed, cut or lengthened. */
const bad = (good: readonly Buffer[] = GOOD): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 3, arbitrary: mutated(good) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.nat({ max: 29 }), fc.uint8Array({ maxLength: 300, size: 'max' }))
        .map(([type, rest]) => Buffer.concat([Buffer.of(type, 1), rest])),
    },
  );

test(`decode gives a packet or a fault for ${PACKETS} bad packets (seed ${SEED})`, () => {
  let faults = 0;
  const decodes = fc.property(bad(), (bytes) => void (decode(bytes).ok || faults++));
  fc.assert(decodes, { seed: SEED, numRuns: PACKETS });
  expect(faults).toBeGreaterThan(PACKETS / 2);
});

test(`whatever decodes encodes to the same meaning (seed ${SEED})`, () => {
  const types = Object.values(TYPES);
  const header = fc.constantFrom(...types).map((type) => Buffer.from([type, 1]));
  fc.assert(
    fc.property(header, fc.uint8Array({ minLength: 14, maxLength: 200 }), (start, rest) => {
      const first = decode(Buffer.concat([start, rest]));
      if (first.ok) expect(decode(encode(first.value))).toEqual(first);
    }),
    { seed: SEED, numRuns: 5_000 },
  );
});

describe.each(['plain', 'native'] as const)('a live %s server', (native) => {
  const closers: (() => unknown)[] = [];
  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  });

  async function serve(): Promise<{ server: StreamServer; at: { host: string; port: number }; client: StreamClient }> {
    const started = await startStreamServer({
      address: '127.0.0.1',
      port: 0,
      threads: 1,
      ring: () => RING,
      mode: 'Trusted',
      site: 'paris',
      login: async () => ({
        kind: 'ticket',
        sizeBytes: SIZE,
        blockSize: 512,
        servers: [{ host: '127.0.0.1', port: 1, state: 'Streaming' }],
        listVersion: 1,
      }),
      onSession: () => undefined,
      onFailure: (error) => {
        throw error;
      },
      log: silentLogger,
      native,
    });
    if (!started.ok) throw new Error(started.error.message);
    const client = await StreamClient.open();
    closers.push(() => started.value.close());
    closers.push(() => client.close());
    await started.value.setExports([{ ...REF, disk: patternDisk({ sizeBytes: SIZE }) }]);
    return { server: started.value, at: { host: '127.0.0.1', port: started.value.port }, client };
  }

  test(`${PACKETS} bad packets, some signed: it serves on (seed ${SEED})`, async () => {
    const { server, at, client } = await serve();
    const session = await client.attach(at, await client.login(at, Buffer.from(sealBootToken(RING, TOKEN))));
    const mine = GOOD.map((packet) => {
      const copy = Buffer.from(packet);
      copy.writeUInt32BE(session.id, 4);
      return copy;
    });
    // The session's own BYE, rightly signed, is the one packet that may end it: it is not among these.
    const read = fc.record({ offset: fc.nat({ max: 4_095 }), blocks: fc.nat({ max: 129 }) }).map(
      ({ offset, blocks }) =>
        () =>
          session.packet({ type: 'READ', offset: offset * 512, length: 512 * blocks, hedged: false }),
    );
    const packets = fc.oneof(
      { weight: 1, arbitrary: read },
      { weight: 19, arbitrary: bad(mine).map((bytes) => () => bytes) },
    );
    for (const [n, packet] of fc.sample(packets, { seed: SEED + 1, numRuns: PACKETS }).entries()) {
      client.send(packet(), at);
      // The socket's buffer is finite: wait for the server to catch up.
      if (n % 500 === 0) await session.ping();
    }
    expect(patternMismatch(await session.read(8_192, 4_096), 8_192)).toBeUndefined();
    expect(await server.selfTest()).toMatchObject({ ok: true });
    expect(server.counters().dropMalformed).toBeGreaterThan(PACKETS / 4);
  });

  test('to an unproven address no answer is longer than its question', async () => {
    const { at, client } = await serve();
    const stranger = await StreamClient.open();
    closers.push(() => stranger.close());
    const ticket = await client.login(at, Buffer.from(sealBootToken(RING, TOKEN)));
    const foreignCookie = await client.cookie(at);
    const session = await client.attach(at, ticket);
    const read = { type: 'READ', offset: 0, length: 65_536, hedged: false } as const;
    const questions: Buffer[] = [
      ...GOOD,
      // Right in all but the address it comes from.
      attachPacket(ticket.sessionKey, ticket.ticket, foreignCookie),
      session.packet(read),
      session.packet({ type: 'PING', role: 'serve', badReads: 0, listVersion: 0, opaque: randomBytes(8) }),
      session.packet({ type: 'SERVERS', listVersion: 0 }),
      session.packet({ type: 'BYE', reason: 'Leaving' }),
    ];
    questions.push(...fc.sample(bad(), { seed: SEED + 2, numRuns: 2_000 }));
    for (const question of questions) {
      const before = stranger.received.length;
      stranger.send(question, at);
      await stranger.cookie(at);
      const answers = stranger.received.splice(before).filter((one) => !stranger.isOwnCookie(one));
      const bytes = answers.reduce((sum, answer) => sum + answer.bytes.length, 0);
      expect({ bytes, answers: answers.length, over: bytes > question.length }).toMatchObject({ over: false });
    }
    expect(await session.ping()).toMatchObject({ state: 'Streaming' });
  });
});
