import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { request } from 'undici';
import { countAs, type EdgeLimits, httpServer } from './server.ts';

const plenty = { burst: 1_000, perSecond: 1_000, keys: 10 };
const limits: EdgeLimits = { total: 9, each: 9, keepAliveMs: 1_000, connects: plenty, questions: plenty };
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function started(more: Partial<EdgeLimits>): Promise<number> {
  const server = httpServer((_, response) => response.end('ok'), { ...limits, ...more }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close().closeAllConnections());
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

/** Whether a connection from there stays open long enough to be answered. */
async function answered(port: number, localAddress: string): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return text.endsWith('ok');
}

test('connects beyond the budget of a source are reset, those of another are not', async () => {
  const port = await started({ connects: { burst: 3, perSecond: 0, keys: 10 } });
  const many: boolean[] = [];
  for (let n = 0; n < 5; n++) many.push(await answered(port, '127.0.0.3'));
  expect(many).toEqual([true, true, true, false, false]);
  expect(await answered(port, '127.0.0.2')).toBe(true);
});

test.each([
  { what: 'a question that lies behind one that is being answered', endsAtOnce: false, answers: 0 },
  { what: 'one behind an answer that has ended', endsAtOnce: true, answers: 2 },
  { what: 'before a third in the same packet', endsAtOnce: true, more: 1, answers: 1 },
])('$what: $answers are answered', async ({ endsAtOnce, more = 0, answers }) => {
  const server = httpServer((_, response) => {
    if (endsAtOnce) response.end('ok');
    else setImmediate(() => response.end('ok'));
  }, limits).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  const question = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  socket.end(question.repeat(2 + more));
  await once(socket, 'close');
  expect(text.split('200 OK').length - 1).toBe(answers);
});

test('one that comes alone waits for no crowd from another address', async () => {
  const order: string[] = [];
  const server = httpServer(
    ({ socket }, response) => {
      order.push(socket.remoteAddress ?? '');
      response.end('ok');
    },
    { ...limits, handshakeEveryMs: 20 },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const crowd = Array.from({ length: 5 }, () => answered(port, '127.0.0.3'));
  expect(await Promise.all([...crowd, answered(port, '127.0.0.2')])).toEqual(new Array(6).fill(true));
  expect(order.indexOf('127.0.0.2')).toBeLessThan(3);
});

test('a crowd at the door is let in within a few turns of the event loop, each with its own address', async () => {
  const server = httpServer((_, response) => response.end('ok'), { ...limits, total: 99, each: 99 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  let turns = 0;
  let timer = setImmediate(function turn() {
    turns += 1;
    timer = setImmediate(turn);
  });
  closing.push(() => clearImmediate(timer));
  const seen: { readonly turn: number; readonly source: string | undefined }[] = [];
  const all = Promise.withResolvers<void>();
  server.on('request', ({ socket }) => {
    seen.push({ turn: turns, source: socket.remoteAddress });
    if (seen.length === 50) all.resolve();
  });
  const sources = Array.from({ length: 50 }, (_, n) => `127.0.1.${n + 1}`);
  const answers = sources.map((source) => answered(port, source)); // in the kernel's queue before this turn ends
  await all.promise;
  expect((seen.at(-1)?.turn ?? 0) - (seen[0]?.turn ?? 0)).toBeLessThan(25);
  expect(new Set(seen.map(({ source }) => source))).toEqual(new Set(sources));
  expect(await Promise.all(answers)).toEqual(sources.map(() => true));
});

test('questions beyond the budget of a source are 429, with the way out', async () => {
  const port = await started({ questions: { burst: 2, perSecond: 0, keys: 10 } });
  const ask = () => request(`http://127.0.0.1:${port}/`);
  expect([(await ask()).statusCode, (await ask()).statusCode]).toEqual([200, 200]);
  const { statusCode, headers, body } = await ask();
  expect([statusCode, headers['retry-after'], await body.text()]).toEqual([
    429,
    '1',
    expect.stringContaining('ask again'),
  ]);
  expect(await answered(port, '127.0.0.2')).toBe(true);
});

test('callers behind one address count by who they are, once a question has shown it', async () => {
  const place = { total: 9, each: 2, questions: { burst: 3, perSecond: 0, keys: 10 } };
  const server = httpServer(
    (request, response) => {
      countAs(server, request.socket, { source: String(request.headers['x-caller']), place });
      response.end('ok');
    },
    { ...limits, total: 3, each: 3 },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const opened = async (caller: string) => {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
    closing.push(() => socket.destroy());
    const ask = async (): Promise<string> => {
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX-Caller: ${caller}\r\n\r\n`);
      const [bytes] = await once(socket, 'data');
      return String(bytes).split(' ')[1] ?? '';
    };
    return { socket, ask, first: await ask() };
  };
  const first = await opened('a');
  const gone = new Promise((resolve) => first.socket.once('close', resolve));
  const others = [await opened('a'), await opened('b'), await opened('b'), await opened('a')];
  await gone;
  expect(others.map((each) => each.first)).toEqual(['200', '200', '200', '200']);
  const [a, b] = others;
  const more = [await a?.ask(), await a?.ask(), await a?.ask(), await a?.ask()];
  expect([more, await b?.ask()]).toEqual([['200', '200', '200', '429'], '200']);
});
