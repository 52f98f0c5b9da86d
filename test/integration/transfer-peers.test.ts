/** Peers that answer wrongly, and readers that take nothing: each is a fault with a name, soon. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeCertificate } from '../../src/control/certificates.ts';
import { peerAt } from '../../src/transfer/peer.ts';
import { type Farm, giver, makeFarm, manifestOf } from '../fakes/transfer.ts';
import { until } from '../setup/time.ts';

const SHA256 = 'ab'.repeat(32);
const TIMEOUT_MS = 300;

let farm: Farm;
let server: Server;
let answer: (socket: TLSSocket) => void;
const sockets = new Set<TLSSocket>();

beforeAll(async () => {
  farm = await makeFarm();
  const own = await makeCertificate(farm.authority, { names: ['odd'], use: 'server' }, Date.now());
  server = createServer({ ...own, ca: farm.authority.cert, requestCert: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const odd = (name = 'odd') =>
  peerAt({ name, host: '127.0.0.1', port: (server.address() as AddressInfo).port }, farm.identity, TIMEOUT_MS);
const ok = (length: number | string, body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${body}`;

test.each([
  ['nothing', '', 'nothing came for'],
  ['no HTTP', 'hello\r\n\r\n', 'without a status'],
  [
    'a body without a length',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n',
    'without a status and a length',
  ],
  ['a head without an end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(9_000)}`, 'without a status'],
  ['fewer bytes than were asked for', ok(3, 'abc'), 'it answered 200 with 3 bytes'],
  ['more bytes than it says', ok(4, 'abcdef'), 'more than it had said'],
  ['a refusal without an end', `HTTP/1.1 404 No\r\ncontent-length: 9999999\r\n\r\n`, '404 with 9999999'],
  ['a part', ok(4, 'ab'), 'nothing came for'],
])('one that answers with %s is unreachable', async (_, text, message) => {
  answer = (socket) => socket.write(text);
  const peer = odd();
  const came = await peer.chunks(SHA256, [0], new Uint8Array(4));
  peer.close();
  expect(came).toMatchObject({ ok: false, error: { code: 'Unreachable', message: expect.stringContaining(message) } });
});

test.each([
  ['no JSON', ok(2, '{['), 'Invalid'],
  ['other JSON', ok(2, '[]'), 'Invalid'],
  ['404', 'HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n', 'Absent'],
  ['503', 'HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n', 'Busy'],
  ['302', 'HTTP/1.1 302 Go\r\nlocation: /\r\ncontent-length: 0\r\n\r\n', 'Invalid'],
])('one that says %s of a file: %s', async (_, text, code) => {
  answer = (socket) => socket.write(text);
  const peer = odd();
  expect(await peer.facts(SHA256, 8)).toMatchObject({ ok: false, error: { code } });
  peer.close();
});

test('a server of another name is asked nothing', async () => {
  answer = () => expect('this').toBe('not asked');
  const peer = odd('node-a');
  expect(await peer.facts(SHA256, 8)).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining('node-a') },
  });
  peer.close();
});

test('what is broken off ends at once, and the next question has a connection of its own', async () => {
  answer = (socket) => socket.write(ok(4, 'ab'));
  const peer = odd();
  const controller = new AbortController();
  const came = peer.chunks(SHA256, [0], new Uint8Array(4), controller.signal);
  controller.abort();
  expect(await came).toMatchObject({ ok: false });
  answer = (socket) => socket.write(ok(4, 'abcd'));
  const to = new Uint8Array(4);
  expect(await peer.chunks(SHA256, [0], to)).toEqual({ ok: true, value: undefined });
  expect(Buffer.from(to).toString()).toBe('abcd');
  peer.close();
});

test('no more answers than that are given at once, and a reader that takes nothing is left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-transfer-'));
  const content = randomBytes(8 << 20);
  const path = join(folder, 'lab.raw');
  writeFileSync(path, content);
  const manifest = manifestOf(content);
  const one = await giver(farm, 'node-a', {
    limits: { answers: 8, perCaller: 8, stillMs: 500 },
  });
  one.holdings.offer({ manifest, path, has: 'all' });
  const { host, port } = one.address;
  const still = connect({ ...farm.identity, host, port, servername: 'node-a' });
  still.on('error', () => undefined);
  await new Promise((resolve) => still.once('secureConnect', resolve));
  still.pause();
  const question = `GET /v1/files/${manifest.sha256}/chunks/0-31 HTTP/1.1\r\nhost: a\r\n\r\n`;
  // More than the buffers between have room for.
  still.write(question.repeat(32));
  const chunk = new Uint8Array(65_536);
  const said = new Set<string>();
  await one.peer.facts(manifest.sha256, manifest.chunks); // which has a connection, too
  await until(
    'one connection is left',
    async () => {
      const came = await one.peer.chunks(manifest.sha256, [1], chunk);
      said.add(came.ok ? 'given' : came.error.code);
      return (await one.connections()) === 1;
    },
    20_000,
  );
  expect(said).toContain('Busy');
  expect(await one.peer.chunks(manifest.sha256, [1], chunk)).toMatchObject({ ok: true });
  expect(Buffer.from(chunk).equals(content.subarray(65_536, 131_072))).toBe(true);
  still.destroy();
  await one.close();
  rmSync(folder, { recursive: true });
});
