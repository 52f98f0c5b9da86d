import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type EdgeLimits, httpServer } from './server.ts';

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
