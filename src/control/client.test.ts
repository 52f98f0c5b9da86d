import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { quietClock, until } from '../../test/setup/time.ts';
import { OPERATOR_NAME } from './caller.ts';
import { makeAuthority, makeCertificate } from './certificates.ts';
import { type ControlClient, controlClient } from './client.ts';
import { wordsOf } from './stranger.ts';

const status = {
  name: 'node-a',
  instance: '01',
  site: 'default',
  pool: 'main',
  address: '127.0.0.1',
  state: 'Streaming',
  devices: 0,
  booting: 0,
  powerRating: 1,
  loadPercent: 0,
  faults: [],
  stores: [],
  copies: [],
};
let client: ControlClient;
let disconnects = 0;
let port = 0;
let drop: () => void;
let answer: (response: ServerResponse) => void = () => undefined;
const closing: (() => void)[] = [];

beforeAll(async () => {
  const authority = await makeAuthority('farm', Date.now());
  const certificate = await makeCertificate(authority, { names: ['node-a'], use: 'server' }, Date.now());
  const operator = await makeCertificate(authority, { names: [OPERATOR_NAME], use: 'client' }, Date.now());
  const server = createServer(certificate, (_, response) => answer(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' && address ? address.port : 0;
  client = controlClient({ ca: authority.cert, ...operator }, () => disconnects++);
  closing.push(() => server.close().closeAllConnections());
  drop = () => server.closeAllConnections();
});
afterAll(async () => {
  await client.close();
  for (const close of closing) close();
});
const ask = (name = 'node-a') => client.status({ name, address: '127.0.0.1', port });

test.each([
  { what: 'a status', body: JSON.stringify(status), code: undefined },
  { what: 'no JSON', body: 'ok', code: 'ServerUnreachable' },
  { what: 'null', body: 'null', code: 'ServerAnswerInvalid' },
  { what: 'a status that lacks a field', body: JSON.stringify({ ...status, site: 1 }), code: 'ServerAnswerInvalid' },
  { what: 'faults that are none', body: JSON.stringify({ ...status, faults: [null] }), code: 'ServerAnswerInvalid' },
  { what: 'more than 4 MiB', body: `"${'x'.repeat(5 << 20)}"`, code: 'ServerUnreachable' },
])('a server that answers $what: $code', async ({ body, code }) => {
  answer = (response) => response.end(body);
  const asked = await ask();
  expect(asked.ok ? undefined : asked.error.code).toBe(code);
});

test('the end of a connection is told', async () => {
  answer = (response) => response.end(JSON.stringify(status));
  expect((await ask()).ok).toBe(true);
  const before = disconnects;
  drop();
  await until('it is told', () => disconnects > before);
});

test('a server of another name is no answer', async () => {
  expect(await ask('node-b')).toMatchObject({ ok: false, error: { code: 'ServerUnreachable' } });
});

test('the server of another farm is named, though nothing that it says is believed', async () => {
  const authority = await makeAuthority('annex/farm', Date.now());
  const certificate = await makeCertificate(authority, { names: ['node-a'], use: 'server' }, Date.now());
  const other = createServer(certificate, (_, response) => response.end(JSON.stringify(status))).listen(0, '127.0.0.1');
  await once(other, 'listening');
  closing.push(() => other.close().closeAllConnections());
  const at = other.address();
  const asked = await client.status({ name: 'node-a', address: '127.0.0.1', port: (at as { port: number }).port });
  expect(asked).toMatchObject({
    ok: false,
    error: {
      code: 'ServerUnreachable',
      message: expect.stringMatching(
        /^server node-a at 127.0.0.1:\d+: what answers there is node-a of Farm annex\/farm: /,
      ),
    },
  });
});

test.each([
  { issuer: 'bootfarm lab/farm', subject: 'node-a', words: 'what answers there is node-a of Farm lab/farm' },
  { issuer: 'Some CA', subject: undefined, words: 'what answers there is named nothing, by Some CA' },
  { issuer: 'a\u0007\n', subject: 'b', words: 'what answers there is named b, by a??' },
  { issuer: undefined, subject: ['x', 'y'], words: undefined },
])('$issuer and $subject: $words', ({ issuer, subject, words }) => {
  expect(wordsOf(issuer, subject)).toBe(words);
});

test('an answer that comes a byte at a time is given up after 5 s', async () => {
  answer = (response) => {
    const timer = setInterval(() => response.write(' '), 100);
    response.once('close', () => clearInterval(timer));
  };
  const passed = quietClock();
  expect(await ask()).toMatchObject({ ok: false, error: { code: 'ServerUnreachable' } });
  expect(passed()).toBeLessThan(15_000);
});
