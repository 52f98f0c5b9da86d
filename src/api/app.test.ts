import { once } from 'node:events';
import { createServer as createPlain } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, expect, test } from '@jest/globals';
import { Type } from 'typebox';
import { ok } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { silentLogger } from '../telemetry/log.ts';
import { makeApp } from './app.ts';
import { Judge } from './ask.ts';
import { Callers } from './caller.ts';
import type { Farms, OpenFarm } from './farms.ts';
import { CSV_BODIES, MAX_CSV_BYTES, MAX_JSON_BYTES } from './limits.ts';
import { Reviews } from './reviews.ts';
import { CSV, FARM, route } from './route.ts';

const create = async (_: unknown, { spec }: { readonly spec: { readonly token?: string; readonly user?: string } }) =>
  ok({
    status: {
      allowed: spec.user === 'ann',
      authenticated: ['ann', 'bob'].includes(spec.token ?? ''),
      user: { username: spec.token ?? '' },
    },
  });
const client = { create } as unknown as Pick<Client, 'create'>;
// As `Farms` has it: by namespace and name with a slash between.
const farms = {
  get: (namespace: string, name: string) =>
    [namespace, name].filter(Boolean).join('/') === 'lab/farm'
      ? ({ collections: ['room'] } as unknown as OpenFarm)
      : undefined,
} as unknown as Farms;

let work: Promise<void> = Promise.resolve();
const line = {
  query: Type.Object({}),
  answer: { status: 200 },
  right: { resource: 'devices', verb: 'create' },
} as const;
const done = async () => {
  await work;
  return ok({ status: 200 });
};
const options = {
  routes: [
    route({ ...line, id: 'read', method: 'GET', path: FARM, summary: '', handle: done }),
    route({
      ...line,
      id: 'json',
      method: 'POST',
      path: FARM,
      summary: '',
      body: Type.Object({ a: Type.String() }),
      handle: done,
    }),
    route({
      ...line,
      id: 'csv',
      method: 'POST',
      path: `${FARM}/csv`,
      summary: '',
      right: { ...line.right, by: 'collection' },
      body: CSV,
      handle: done,
    }),
  ],
  judge: new Judge(new Callers(client), new Reviews(client), farms),
  release: 'test',
  log: silentLogger,
};
const app = makeApp({ ...options, serverFactory: (handler) => createServer(handler) });
afterAll(() => app.close());

const AT = '/api/v1/farms/lab/farm';
const ask = (method: 'GET' | 'POST', url: string, body?: string, headers: Readonly<Record<string, string>> = {}) =>
  app.inject({
    method,
    url,
    headers: { authorization: 'Bearer ann', 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  });
const csv = { 'content-type': 'text/csv; charset=utf-8' };
const large = (bytes: number) => JSON.stringify('x'.repeat(bytes));
const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;

test.each<[string, string, Parameters<typeof ask>, number, RegExp]>([
  ['who is known', 'asks', ['POST', AT, '{"a":"b"}'], 200, /^$/],
  ['a file', 'is taken', ['POST', `${AT}/csv`, 'a;b', csv], 200, /^$/],
  ['a large file', 'is taken', ['POST', `${AT}/csv`, 'x'.repeat(MAX_JSON_BYTES + 1), csv], 200, /^$/],
  ['a larger file', 'is not', ['POST', `${AT}/csv`, 'x'.repeat(MAX_CSV_BYTES + 1), csv], 413, /TooLarge/],
  ['a large text', 'is no JSON', ['POST', AT, 'x'.repeat(MAX_JSON_BYTES + 1), csv], 413, /TooLarge/],
  ['large JSON', 'is none', ['POST', AT, large(MAX_JSON_BYTES)], 413, /TooLarge/],
  ['large JSON', 'is no file', ['POST', `${AT}/csv`, large(10)], 415, /it is application\/json/],
  ['text/plain', 'is no file', ['POST', `${AT}/csv`, 'a;b', { 'content-type': 'text/plain' }], 415, /WrongType/],
  ['text/plain', 'is no JSON', ['POST', AT, '{"a":"b"}', { 'content-type': 'text/plain' }], 415, /WrongType/],
  [
    'who may nothing',
    'sends no file',
    ['POST', `${AT}/csv`, 'x'.repeat(MAX_CSV_BYTES + 1), { ...csv, authorization: 'Bearer bob' }],
    403,
    /bob may not/,
  ],
  ['nobody', 'hears of paths', ['POST', '/nowhere', large(10), { authorization: 'Bearer x' }], 401, /Unauthenticated/],
  ['nobody', 'sends anything', ['POST', AT, large(MAX_JSON_BYTES), { authorization: 'x' }], 401, /Unauthenticated/],
  ['who is known', 'asks nowhere', ['POST', '/nowhere', large(10)], 404, /openapi.json has all/],
  ['nowhere', 'is large', ['POST', '/nowhere', large(MAX_JSON_BYTES)], 413, /TooLarge/],
  [
    'a proxy',
    'asks for itself',
    ['GET', AT, undefined, { 'Impersonate-User': 'bob' }],
    400,
    /impersonate-user is not taken/,
  ],
  ['a namespace', 'is no part of a name', ['GET', '/api/v1/farms//lab%2Ffarm'], 404, /there is no Farm/],
  ['a path', 'is no encoding', ['GET', '/api/v1/farms/%ff/x'], 400, /urn:bootfarm:problem:Invalid/],
  ['what is nested', 'is shown in short', ['POST', AT, deep], 400, /"value":"\[ \[ \[Array\] \] \]"/],
])('%s %s', async (_, _does, asked, status, says) => {
  const { statusCode, body, headers } = await ask(...asked);
  expect([statusCode, body.slice(0, 1_000)]).toEqual([status, expect.stringMatching(says)]);
  if (status !== 200) expect(headers['content-type']).toMatch(/^application\/problem\+json/);
});

test.each([
  ['a method that nobody knows', `QUERY ${AT} HTTP/1.1`, 404, 'NotFound'],
  ['a head that is too large', `GET ${AT}?x=${'x'.repeat(70_000)} HTTP/1.1`, 431, 'HeadTooLarge'],
  ['what is no HTTP', 'hello', 400, 'Invalid'],
])('%s is a problem, too', async (_, line, status, code) => {
  const plain = makeApp({ ...options, serverFactory: (handler) => createPlain(handler) as never });
  await plain.listen({ host: '127.0.0.1', port: 0 });
  const { port } = plain.server.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port }).on('error', () => undefined);
  socket.write(`${line}\r\nHost: a\r\nAuthorization: Bearer ann\r\nConnection: close\r\n\r\n`);
  let text = '';
  socket.on('data', (bytes) => (text += bytes));
  await once(socket, 'close');
  await plain.close();
  expect(text.split('\r\n')[0]).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(text.toLowerCase()).toContain('content-type: application/problem+json');
  expect(JSON.parse(text.slice(text.indexOf('{')).split('\r\n')[0] ?? '')).toMatchObject({ status, code });
});

test('so many files are held at once, and each gives its place back', async () => {
  let end = (): void => {};
  work = new Promise((resolve) => (end = resolve));
  const held = Array.from({ length: CSV_BODIES }, () => ask('POST', `${AT}/csv`, 'a', csv));
  await new Promise(setImmediate);
  const more = await ask('POST', `${AT}/csv`, 'a', csv);
  expect([more.statusCode, more.headers['retry-after'], more.json().code]).toEqual([429, '1', 'TooMany']);
  end();
  expect((await Promise.all(held)).map(({ statusCode }) => statusCode)).toEqual(Array(CSV_BODIES).fill(200));
  expect((await ask('POST', `${AT}/csv`, 'x'.repeat(MAX_CSV_BYTES + 1), csv)).statusCode).toBe(413);
  const again = Array.from({ length: CSV_BODIES }, () => ask('POST', `${AT}/csv`, 'a', csv));
  expect((await Promise.all(again)).map(({ statusCode }) => statusCode)).toEqual(Array(CSV_BODIES).fill(200));
});
