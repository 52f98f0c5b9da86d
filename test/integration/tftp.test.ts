/** The TFTP server on real sockets, judged by real clients: tftp-hpa, curl, and one that loses, repeats and lies. */

import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { fail, ok } from '../../src/kit/result.ts';
import { MAX_TRANSFERS_PER_SOURCE, STARTS, STARTS_OF_SOURCE, UNHEARD } from '../../src/tftp/limits.ts';
import { decode, encode, type Packet, type TftpOption } from '../../src/tftp/packet.ts';
import { startTftp, type Tftp, type TftpEvent } from '../../src/tftp/server.ts';
import type { TftpFile } from '../../src/tftp/transfer.ts';
import { mutations } from '../builders/mutations.ts';
import { readGolden } from '../golden/golden.ts';
import { until } from '../setup/time.ts';

const run = promisify(execFile);
const ADDRESS = '127.0.0.1';
const log = { debug() {}, warn() {} };
/** Large enough for the block counter to go round at 512 bytes. */
const FILES: Record<string, Buffer> = {
  'undionly.kpxe': randomBytes(74_213),
  'even.bin': randomBytes(1_024),
  empty: Buffer.alloc(0),
  'round.bin': Buffer.alloc(512 * 65_600 + 7, 'round'),
  'menu.txt': Buffer.from('one\ntwo\n'),
};

let folder: string;
let server: Tftp;
const events: TftpEvent[] = [];
const start = (port = 0, now?: () => number) =>
  startTftp({
    address: ADDRESS,
    port,
    ...(now && { now }),
    log,
    onEvent: (event) => events.push(event),
    open: (name) => {
      const bytes = FILES[name];
      if (!bytes) return fail('NotFound', `no boot file ${name}`);
      return ok({ sizeBytes: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) });
    },
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-tftp-'));
  const started = await start();
  if (!started.ok) throw new Error(started.error.message);
  server = started.value;
});
afterAll(async () => {
  await server.close();
  await server.close();
  rmSync(folder, { recursive: true });
});

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const fetched = async (command: string, args: (file: string) => string[]): Promise<string> => {
  const file = join(folder, randomBytes(6).toString('hex'));
  await run(command, args(file), { timeout: 300_000 });
  return digest(readFileSync(file));
};

describe('real clients get the very bytes', () => {
  const hpa = (name: string, mode: string) =>
    fetched('tftp', (file) => ['-m', mode, ADDRESS, String(server.port), '-c', 'get', name, file]);
  const curl = (name: string, blockBytes: number) =>
    fetched('curl', (file) => [
      '-sS',
      '--tftp-blksize',
      String(blockBytes),
      '-o',
      file,
      `tftp://${ADDRESS}:${server.port}/${name}`,
    ]);

  test.each(Object.keys(FILES))('tftp-hpa: %s', async (name) => {
    expect(await hpa(name, 'binary')).toBe(digest(FILES[name] ?? Buffer.of(1)));
  });

  test('tftp-hpa, netascii: its line ends are those of the file again', async () => {
    expect(await hpa('menu.txt', 'ascii')).toBe(digest(FILES['menu.txt'] ?? Buffer.of(1)));
  });

  test.each([8, 512, 1_432, 65_464])('curl with blocks of %d', async (blockBytes) => {
    expect(await curl('undionly.kpxe', blockBytes)).toBe(digest(FILES['undionly.kpxe'] ?? Buffer.of(1)));
  });

  test('a name that is no boot file, and every way to climb, is a file not found', async () => {
    for (const name of ['nothing', '../../../etc/passwd', '/etc/passwd', 'undionly.kpxe/../../x']) {
      await expect(
        run('curl', ['-sS', '--path-as-is', `tftp://${ADDRESS}:${server.port}/${name}`]),
      ).rejects.toMatchObject({ code: 68 });
    }
  });
});

/** A client of which each test says what it does. */
class Client {
  readonly socket: Socket = createSocket('udp4');
  readonly #heard: { packet: Packet; port: number }[] = [];
  #wake: () => void = () => {};

  constructor() {
    this.socket.on('message', (bytes, { port }) => {
      const decoded = decode(bytes);
      if (decoded.ok) this.#heard.push({ packet: decoded.value, port });
      this.#wake();
    });
    this.socket.bind(0, ADDRESS);
  }

  send(packet: Packet, port = server.port, address = ADDRESS): void {
    this.socket.send(encode(packet), port, address);
  }

  ask(name: string, options: readonly TftpOption[] = []): void {
    this.send({ type: 'RRQ', name, mode: 'octet', options });
  }

  /** The next packet, or undefined when `withinMs` pass without one. */
  async next(withinMs = 5_000): Promise<{ packet: Packet; port: number } | undefined> {
    if (this.#heard.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, withinMs);
      this.#wake = resolve;
      await promise;
      clearTimeout(timer);
    }
    return this.#heard.shift();
  }

  close(): void {
    this.socket.close();
  }
}

const withClient = async (use: (client: Client) => Promise<void>): Promise<void> => {
  const client = new Client();
  await once(client.socket, 'listening');
  try {
    await use(client);
  } finally {
    client.close();
  }
};

describe('a name as firmware sends it', () => {
  test.each(['undionly.kpxe\xff', '/undionly.kpxe', '\\Undionly.KPXE'])('%j is served, and told once', async (name) => {
    const warned: object[] = [];
    const own = await startTftp({
      ...{ address: ADDRESS, port: 0, log: { debug() {}, warn: (fields) => warned.push(fields) } },
      open: (asked) =>
        asked === 'undionly.kpxe' ? ok({ sizeBytes: 2, read: () => Buffer.from('ok') }) : fail('NotFound', 'nothing'),
    });
    if (!own.ok) throw new Error(own.error.message);
    await withClient(async (client) => {
      for (let n = 0; n < 3; n += 1) {
        client.send({ type: 'RRQ', name, mode: 'octet', options: [] }, own.value.port);
        const answer = await client.next(2_000);
        expect(answer?.packet).toMatchObject({ type: 'DATA', block: 1 });
        client.send({ type: 'ACK', block: 1 }, answer?.port);
        await delay(5);
      }
    }).finally(() => own.value.close());
    expect(warned).toEqual([{ name, known: 'undionly.kpxe', address: ADDRESS }]);
  });
});

describe('a request that is not as the RFCs have it', () => {
  const raw = (text: string): Buffer => Buffer.from(`\0${text}`, 'latin1');
  test.each([
    ['a zero byte more', '\x01even.bin\0octet\0\0', { type: 'DATA', block: 1 }],
    ['padded to 512 bytes', '\x01even.bin\0octet\0'.padEnd(511, '\0'), { type: 'DATA', block: 1 }],
    [
      'an option twice',
      '\x01even.bin\0octet\0blksize\x008\0blksize\x009\0',
      { type: 'OACK', options: [['blksize', '8']] },
    ],
    ['mode mail', '\x01even.bin\0mail\0', { type: 'ERROR', code: 4 }],
    ['no mode', '\x02even.bin', { type: 'ERROR', code: 4 }],
    ['no name', '\x01\0octet\0', { type: 'ERROR', code: 4 }],
    ['an opcode alone', '\x01', { type: 'ERROR', code: 4 }],
    ['600 bytes', `\x01${'a'.repeat(598)}`, { type: 'ERROR', code: 4 }],
  ])('%s: the file or ERROR 4, never silence', async (_, text, answer) => {
    await withClient(async (client) => {
      client.socket.send(raw(text), server.port, ADDRESS);
      expect((await client.next(2_000))?.packet).toMatchObject(answer);
    });
  });

  test('what is no request gets not one word', async () => {
    await withClient(async (client) => {
      for (const text of ['', '\x05', '\x07abc', '\x03', 'x'.repeat(600)])
        client.socket.send(raw(text), server.port, ADDRESS);
      expect(await client.next(300)).toBeUndefined();
    });
  });
});

describe('a client that misbehaves', () => {
  test('and never answers gets one packet three times, and no more', async () => {
    await withClient(async (client) => {
      client.ask('undionly.kpxe');
      const got: unknown[] = [];
      for (let heard = await client.next(); heard; heard = await client.next(2_500)) got.push(heard.packet);
      expect(got).toHaveLength(3);
      expect(new Set(got.map((packet) => JSON.stringify(packet))).size).toBe(1);
    });
  });

  test('is not forgotten when the deadline falls between two looks at the clock', async () => {
    let nowMs = 0;
    const started = await start(0, () => {
      nowMs += 499;
      return nowMs;
    });
    if (!started.ok) throw new Error(started.error.message);
    await withClient(async (client) => {
      client.send({ type: 'RRQ', name: 'even.bin', mode: 'octet', options: [] }, started.value.port);
      for (let n = 0; n < 3; n += 1) expect((await client.next())?.packet).toMatchObject({ type: 'DATA', block: 1 });
    }).finally(() => started.value.close());
  });

  test('and asks again from the same port has one transfer', async () => {
    await withClient(async (client) => {
      client.ask('even.bin', [['tsize', '0']]);
      client.ask('even.bin', [['tsize', '0']]);
      expect((await client.next())?.packet).toEqual({ type: 'OACK', options: [['tsize', '1024']] });
      expect(await client.next(300)).toBeUndefined();
    });
  });

  test('and talks into another’s transfer gets ERROR 5, once; the transfer goes on', async () => {
    await withClient(async (client) => {
      client.ask('even.bin');
      const first = await client.next();
      await withClient(async (intruder) => {
        intruder.send({ type: 'ERROR', code: 0, message: 'to a stranger, silence' }, first?.port);
        for (let n = 0; n < 3; n += 1) intruder.send({ type: 'ACK', block: 1 }, first?.port);
        expect((await intruder.next())?.packet).toMatchObject({ type: 'ERROR', code: 5 });
        expect(await intruder.next(300)).toBeUndefined();
      });
      client.send({ type: 'ACK', block: 1 }, first?.port);
      expect((await client.next())?.packet).toMatchObject({ type: 'DATA', block: 2 });
    });
  });

  test('and asks for something else from the same port, as firmware does that saw the size, has that transfer alone', async () => {
    await withClient(async (client) => {
      client.ask('even.bin', [['tsize', '0']]);
      const size = await client.next();
      client.ask('even.bin');
      const file = await client.next();
      expect([size?.packet.type, file?.packet]).toMatchObject(['OACK', { type: 'DATA', block: 1 }]);
      // Late, after the second request: it ends no transfer, and gets no error, which would.
      client.send({ type: 'ACK', block: 0 }, size?.port);
      client.send({ type: 'ERROR', code: 0, message: 'seen' }, size?.port);
      client.send({ type: 'ACK', block: 1 }, file?.port);
      expect((await client.next())?.packet).toMatchObject({ type: 'DATA', block: 2 });
    });
  });

  test('and gives up in the middle of a file for another hears that one alone', async () => {
    await withClient(async (client) => {
      client.ask('undionly.kpxe');
      const before = await client.next();
      client.send({ type: 'ACK', block: 1 }, before?.port);
      expect((await client.next())?.packet).toMatchObject({ type: 'DATA', block: 2 });
      client.ask('even.bin');
      const after = await client.next(500);
      expect(after?.packet).toMatchObject({ type: 'DATA', block: 1 });
      client.send({ type: 'ACK', block: 1 }, after?.port);
      for (let heard = await client.next(1_500); heard; heard = await client.next(1_500))
        expect(heard.port).toBe(after?.port);
    });
  });

  test('and wants to write is refused', async () => {
    await withClient(async (client) => {
      client.send({ type: 'WRQ', name: 'undionly.kpxe', mode: 'octet', options: [] });
      expect((await client.next())?.packet).toMatchObject({ type: 'ERROR', code: 2 });
    });
  });

  test('and asks from many ports has its share: its oldest that it did not acknowledge give way', async () => {
    const clients = Array.from({ length: MAX_TRANSFERS_PER_SOURCE + 4 }, () => new Client());
    await Promise.all(clients.map(({ socket }) => once(socket, 'listening')));
    const own = await start();
    if (!own.ok) throw new Error(own.error.message);
    const before = events.length;
    for (const client of clients) {
      client.send({ type: 'RRQ', name: 'undionly.kpxe', mode: 'octet', options: [['tsize', '0']] }, own.value.port);
      const answer = await client.next();
      expect(answer?.packet.type).toBe('OACK');
      if (client === clients[0]) client.send({ type: 'ACK', block: 0 }, answer?.port);
    }
    expect(events.slice(before).filter((event) => event.kind === 'ended' && event.outcome === 'GaveWay')).toHaveLength(
      clients.length - MAX_TRANSFERS_PER_SOURCE,
    );
    expect((await clients[0]?.next())?.packet).toMatchObject({ type: 'DATA', block: 1 });
    for (const client of clients) client.close();
    await own.value.close();
  });

  test('and floods the port with requests of made-up clients makes so many transfers begin, and no more', async () => {
    const told: string[] = [];
    const flooded = await startTftp({
      ...{ address: '127.0.0.2', port: 0, log, now: () => 0 },
      onEvent: (event) => told.push(event.kind === 'silent' ? event.code : event.kind),
      open: () => fail('NotFound', 'nothing'),
    });
    if (!flooded.ok) throw new Error(flooded.error.message);
    await withClient(async ({ socket }) => {
      const request = encode({ type: 'RRQ', name: 'gone', mode: 'octet', options: [] });
      while (!told.includes('TooManyStarts')) {
        for (let n = 0; n < 50; n += 1) socket.send(request, flooded.value.port, '127.0.0.2');
        await new Promise(setImmediate);
      }
      expect(told.filter((what) => what === 'refused').length).toBeLessThanOrEqual(STARTS_OF_SOURCE.burst);
      expect(await flooded.value.selfTest('gone')).toMatchObject({
        error: { message: expect.stringContaining('nothing') },
      });
    }).finally(() => flooded.value.close());
  });

  test('and asks from many ports while it is not known yet has no more than its share', async () => {
    const told: string[] = [];
    const known = Promise.withResolvers<boolean>();
    const own = await startTftp({
      ...{ address: '127.0.0.2', port: 0, log, mayAnswer: () => known.promise },
      onEvent: ({ kind }) => told.push(kind),
      open: () => ok({ sizeBytes: 9_999, read: (_, length) => Buffer.alloc(length) }),
    });
    if (!own.ok) throw new Error(own.error.message);
    const clients = Array.from({ length: 3 * MAX_TRANSFERS_PER_SOURCE }, () => new Client());
    await Promise.all(clients.map(({ socket }) => once(socket, 'listening')));
    for (const client of clients)
      client.send({ type: 'RRQ', name: 'a', mode: 'octet', options: [] }, own.value.port, '127.0.0.2');
    await new Promise((resolve) => setTimeout(resolve, 200));
    known.resolve(true);
    expect((await clients.at(-1)?.next())?.packet).toMatchObject({ type: 'DATA', block: 1 });
    for (const client of clients) client.close();
    await own.value.close();
    expect(told.filter((kind) => kind === 'started')).toHaveLength(MAX_TRANSFERS_PER_SOURCE);
  });

  test('and asks faster than its share takes no start from another', async () => {
    const told: string[] = [];
    const toldOf = async (address: string): Promise<string | undefined> => {
      for (let looks = 0; looks < 500 && !told.some((what) => what.endsWith(address)); looks += 1)
        await new Promise((resolve) => setTimeout(resolve, 10));
      return told.find((what) => what.endsWith(address));
    };
    const flooded = await startTftp({
      ...{ address: '127.0.0.2', port: 0, log, now: () => 0 },
      onEvent: ({ kind, address }) => told.push(`${kind} ${address}`),
      open: () => fail('NotFound', 'nothing'),
    });
    if (!flooded.ok) throw new Error(flooded.error.message);
    const request = encode({ type: 'RRQ', name: 'gone', mode: 'octet', options: [] });
    const honest = createSocket('udp4');
    await new Promise<void>((resolve) => honest.bind(0, '127.0.0.7', resolve));
    await withClient(async ({ socket }) => {
      for (let sent = 0; sent < 3 * STARTS.burst; sent += 50) {
        for (let n = 0; n < 50; n += 1) socket.send(request, flooded.value.port, '127.0.0.2');
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      honest.send(request, flooded.value.port, '127.0.0.2');
      await expect(toldOf('127.0.0.7')).resolves.toBe('refused 127.0.0.7');
    }).finally(() => {
      honest.close();
      return flooded.value.close();
    });
  });

  test('and asks for netascii has it made once, however often', async () => {
    let reads = 0;
    const read = (_: number, length: number): Buffer => {
      reads += 1;
      return Buffer.alloc(length, 10);
    };
    const file: TftpFile = { sizeBytes: 99, read };
    const text = await startTftp({ address: '127.0.0.2', port: 0, log, open: () => ok(file) });
    if (!text.ok) throw new Error(text.error.message);
    for (let n = 0; n < 3; n += 1)
      await withClient(async (client) => {
        client.send({ type: 'RRQ', name: 'a', mode: 'netascii', options: [] }, text.value.port, '127.0.0.2');
        expect((await client.next())?.packet).toMatchObject({ type: 'DATA', block: 1 });
      });
    await text.value.close();
    expect(reads).toBe(1);
  });

  test('and may be forged gets so many packets in all, whatever it asks and however often', async () => {
    const flooded = await startTftp({
      ...{ address: '127.0.0.2', port: 0, log, now: () => 0 },
      open: (name) =>
        name === 'gone'
          ? fail('NotFound', 'nothing')
          : ok({ sizeBytes: 9_999, read: (_, length) => Buffer.alloc(length) }),
    });
    if (!flooded.ok) throw new Error(flooded.error.message);
    await withClient(async (client) => {
      for (let n = 0; n < 3 * UNHEARD.burst; n += 1) {
        const name = n % 2 === 0 ? 'gone' : `file ${n}`;
        const request = encode({ type: 'RRQ', name, mode: 'octet', options: [] });
        client.socket.send(request, flooded.value.port, '127.0.0.2');
        await new Promise(setImmediate);
      }
      let got = 0;
      while (await client.next(1_000)) got += 1;
      expect(got).toBe(UNHEARD.burst);
      expect(await flooded.value.selfTest('undionly.kpxe')).toEqual(ok(undefined));
    }).finally(() => flooded.value.close());
  });

  test('and is none of the farm’s gets not one word, whatever it asks', async () => {
    const told: TftpEvent[] = [];
    const strict = await startTftp({
      ...{ address: ADDRESS, port: 0, log, onEvent: (event) => told.push(event), mayAnswer: async () => false },
      open: () => fail('NotFound', 'nothing'),
    });
    if (!strict.ok) throw new Error(strict.error.message);
    await withClient(async (client) => {
      for (const type of ['RRQ', 'WRQ'] as const)
        client.send({ type, name: 'undionly.kpxe', mode: 'octet', options: [] }, strict.value.port);
      client.socket.send(Buffer.of(0, 1), strict.value.port, ADDRESS);
      expect(await client.next(300)).toBeUndefined();
    }).finally(() => strict.value.close());
    expect(told).toMatchObject([
      { kind: 'silent', code: 'UnknownDevice' },
      { kind: 'silent', code: 'UnknownDevice' },
      { kind: 'malformed', code: 'TooShort' },
    ]);
  });

  test('and throws anything leaves the server well', async () => {
    const seeds = readGolden('bios').filter(({ protocol }) => protocol === 'tftp');
    await withClient(async (client) => {
      let sent = 0;
      for (const bytes of mutations(
        seeds.map((golden) => golden.bytes),
        7,
        5_000,
      )) {
        client.socket.send(bytes, server.port, ADDRESS);
        sent += 1;
        if (sent % 100 === 0) await new Promise(setImmediate);
      }
    });
    await until('it is well', async () => (await server.selfTest('undionly.kpxe')).ok);
  });
});

describe('life of the server', () => {
  test('a taken port is a fault that says what to do, and it starts when the port is free', async () => {
    const other = createSocket('udp4').bind(0, ADDRESS);
    await once(other, 'listening');
    const { port } = other.address();
    const refused = await start(port);
    expect(refused).toMatchObject({ ok: false, error: { code: 'PortTaken' } });
    expect(!refused.ok && refused.error.message).toContain(`UDP port ${port} of ${ADDRESS}`);
    other.close();
    await once(other, 'close');
    const started = await start(port);
    expect(started.ok).toBe(true);
    if (started.ok) await started.value.close();
  });

  test('its self-test says what does not work', async () => {
    expect(await server.selfTest('undionly.kpxe')).toEqual({ ok: true, value: undefined });
    expect(await server.selfTest('gone')).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining('no boot file gone') },
    });
  });

  test('it tells what happened', () => {
    const ended = events.filter((event) => event.kind === 'ended');
    expect(ended.some(({ outcome, name }) => outcome === 'Completed' && name === 'undionly.kpxe')).toBe(true);
    expect(events.some((event) => event.kind === 'refused' && event.name === '../../../etc/passwd')).toBe(true);
  });
});

test('on an interface with an MTU of 1,450 blocks fit a packet, and no packet of TFTP, DHCP or HTTP boot forbids fragments', async () => {
  const script = new URL('boot-packets.ts', import.meta.url).pathname;
  const args = ['--net', '--mount', '--kill-child', process.execPath, script];
  const { stdout } = await run('unshare', args, { timeout: 300_000 });
  expect(JSON.parse(stdout)).toEqual({
    offer: [['blksize', '1418']],
    dataBytes: 1_418,
    selfTest: true,
    requests: { packets: 1, df: 0 },
    transfer: { packets: 2, df: 0 },
    pxe: { packets: 1, df: 0 },
    script: true,
    http: { packets: expect.any(Number), df: 0 },
  });
});

// 5,000 a second need more of a processor than a test may count on: there machines finish, and wait 13 to 20 times as long (README.md).
describe('1,000 forged requests a second', () => {
  test.each(['gone', 'silent'])('whose answers are %s keep no machine from its file', async (answers) => {
    const script = new URL('tftp-flood.ts', import.meta.url).pathname;
    const args = ['--net', '--kill-child', process.execPath, script, '1000', answers];
    const { stdout } = await run('unshare', args, { timeout: 300_000 });
    const { sent, peace, flooded, before, during } = JSON.parse(stdout);
    expect(sent).toBeGreaterThan(800);
    expect([peace.failed, flooded.failed]).toEqual([0, 0]);
    expect(during.asked).toBeGreaterThan(before.asked);
    expect(during.rssMiB - before.rssMiB).toBeLessThan(256);
  });
});
