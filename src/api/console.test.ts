import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { readFiles, serveFile } from './console.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-console-'));
const PAGE = '<!doctype html><title>bootfarm</title>';
const SCRIPT = 'export const a = 1;\n'.repeat(500);
let server: Server;
let origin = '';

beforeAll(async () => {
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), PAGE);
  writeFileSync(join(folder, 'assets', 'index-abc123.js'), SCRIPT);
  const files = await readFiles(folder);
  server = createServer((asked, answer) => {
    if (!serveFile(files, asked, answer))
      answer.writeHead(401, { 'content-type': 'application/problem+json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

test('the page lets in nothing but this origin, and is asked for again each time', async () => {
  const { statusCode, headers, body } = await request(`${origin}/?x=1`);
  expect([statusCode, await body.text()]).toEqual([200, PAGE]);
  expect(headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': expect.stringMatching(
      /^default-src 'self';.*frame-ancestors 'none'.*trusted-types 'none'$/,
    ),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cache-control': 'no-cache',
  });
  expect(headers['content-security-policy']).not.toContain('unsafe');
  const again = await request(`${origin}/`, { headers: { 'if-none-match': String(headers['etag']) } });
  expect([again.statusCode, await again.body.text()]).toEqual([304, '']);
});

test('what has a digest in its name is kept for ever, and goes packed to who takes it so', async () => {
  const path = `${origin}/assets/index-abc123.js`;
  const packed = await request(path, { headers: { 'accept-encoding': 'gzip, br' } });
  expect(packed.headers).toMatchObject({
    'content-encoding': 'br',
    'cache-control': expect.stringMatching(/immutable/),
  });
  expect(brotliDecompressSync(Buffer.from(await packed.body.arrayBuffer())).toString()).toBe(SCRIPT);
  const plain = await request(path);
  expect([plain.headers['content-encoding'], await plain.body.text()]).toEqual([undefined, SCRIPT]);
  const head = await request(path, { method: 'HEAD' });
  expect([head.statusCode, head.headers['content-length'], await head.body.text()]).toEqual([
    200,
    String(SCRIPT.length),
    '',
  ]);
});

test.each([
  ['GET', '/api/v1/farms'],
  ['POST', '/'],
  ['GET', '/index.html'],
  ['GET', '/assets/'],
  ['GET', '/assets/../assets/index-abc123.js/../../../etc/passwd'],
  ['GET', '/%2e%2e/%2e%2e/etc/passwd'],
  ['GET', '//assets/index-abc123.js'],
])('%s %s is no file: it goes on to the API, whose answer is no page', async (method, path) => {
  const { statusCode, headers, body } = await request(origin + path, { method: method as 'GET' });
  await body.dump();
  expect([statusCode, headers['x-content-type-options'], headers['content-security-policy']]).toEqual([
    401,
    'nosniff',
    "default-src 'none'; frame-ancestors 'none'",
  ]);
});

test('a checkout that was not built has no console', async () => {
  expect((await readFiles(join(folder, 'nowhere'))).size).toBe(0);
});
