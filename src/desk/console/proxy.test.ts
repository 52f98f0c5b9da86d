import { createServer, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { until } from '../../../test/setup/time.ts';
import { Api } from '../api.ts';
import { type ConsoleProxy, startProxy } from './proxy.ts';

/** What the API behind it was asked. */
const asked: {
  method: string;
  url: string;
  authorization: string | undefined;
  cookie: string | undefined;
  body: string;
}[] = [];
let closed = 0;
const upstream = createServer((incoming, response) => {
  const { method = '', url = '', headers } = incoming;
  if (url.endsWith('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: reset\n\n');
    response.on('close', () => closed++);
    return;
  }
  text(incoming).then((body) => {
    asked.push({ method, url, authorization: headers.authorization, cookie: headers.cookie, body });
    response.writeHead(200, { etag: '"1"', 'set-cookie': 'a=b' }).end('answer');
  });
});
const told: string[] = [];
let isAway = false;
let api: Api;
let proxy: ConsoleProxy;
let address: URL;

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const bound = upstream.address();
  const port = typeof bound === 'object' && bound ? bound.port : 0;
  api = new Api({
    ...{ to: 'the API of the test', host: 'api.test' },
    token: async () => 'of-the-kubeconfig',
    connect: async () => {
      if (isAway) throw new Error('no way');
      return connect(port, '127.0.0.1') as unknown as TLSSocket;
    },
  });
  proxy = await startProxy(api, { port: 0, isPlain: false, tell: (line) => told.push(line) });
  address = new URL(proxy.address);
});

afterAll(async () => {
  await proxy?.close();
  api?.close();
  upstream.closeAllConnections();
  upstream.close();
});

const send = (path: string, headers: Readonly<Record<string, string>>, method = 'GET', body = '') =>
  new Promise<IncomingMessage>((resolve, reject) => {
    const length = body === '' ? {} : { 'content-length': String(body.length) };
    const to = { host: '127.0.0.1', port: address.port, path, method, agent: false };
    const outgoing = request({ ...to, headers: { host: address.host, ...length, ...headers } });
    outgoing.on('response', resolve).on('error', reject).end(body);
  });

test('a browser is let in by the address, asks by the identity of the desk, and hears of it where the API is away', async () => {
  expect((await send('/api/v1/farms', {})).statusCode).toBe(401);
  const entered = await send(`/${address.search}`, {});
  expect(entered.statusCode).toBe(303);
  expect(entered.headers).toMatchObject({ location: '/', 'referrer-policy': 'no-referrer' });
  const own = { cookie: entered.headers['set-cookie']?.[0]?.split(';')[0] ?? '', origin: address.origin };
  expect(asked).toEqual([]);

  const answer = await send('/api/v1/x?y=1', { ...own, authorization: 'Bearer mine' }, 'PATCH', '{"enabled":false}');
  expect(answer.headers).toMatchObject({ etag: '"1"' });
  expect(answer.headers['set-cookie']).toBeUndefined();
  expect(await text(answer)).toBe('answer');
  expect(asked).toEqual([
    {
      ...{ method: 'PATCH', url: '/api/v1/x?y=1', body: '{"enabled":false}' },
      ...{ authorization: 'Bearer of-the-kubeconfig', cookie: undefined },
    },
  ]);

  const stream = await send('/api/v1/events', own);
  for await (const chunk of stream) {
    expect(String(chunk)).toBe('event: reset\n\n');
    break;
  }
  stream.destroy();
  // Who closes the page ends the question to the API.
  await until('the question is over', () => closed === 1, 10_000);

  isAway = true;
  api.close();
  const away = await send('/api/v1/y', own);
  expect(away.statusCode).toBe(502);
  expect(JSON.parse(await text(away))).toMatchObject({ detail: 'the API of the test does not answer: no way' });
  expect(told).toEqual(['the API of the test does not answer: no way\n']);
});
