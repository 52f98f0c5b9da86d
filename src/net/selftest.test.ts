import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { READY_DEADLINE_MS } from '../telemetry/limits.ts';
import { askSelf, SELF_TEST_MS } from './selftest.ts';

const ADDRESS = '127.0.0.1';
let server: Socket;
beforeEach(async () => {
  server = createSocket('udp4').bind(0, ADDRESS);
  await once(server, 'listening');
});
afterEach(() => void server.close());

const ask = (judge: (text: string) => string | undefined): Promise<string> =>
  askSelf({
    ...{ address: ADDRESS, port: server.address().port, packet: Buffer.from('well?') },
    judge: (bytes) => judge(bytes.toString()),
  });

test('a question that is lost is asked again', async () => {
  let lost = 3;
  server.on('message', (_, { port, address }) => {
    if (lost-- <= 0) server.send('well', port, address);
  });
  expect(await ask((text) => (text === 'well' ? '' : undefined))).toBe('');
  expect(lost).toBe(-1);
});

test('what is no answer is not taken for one, and what says why not ends it', async () => {
  server.on('message', (_, { port, address }) => {
    server.send('noise', port, address);
    server.send('no disk', port, address);
  });
  expect(await ask((text) => (text === 'noise' ? undefined : text))).toBe('no disk');
});

test('silence is told before readiness takes it for the main thread’s', async () => {
  expect(await ask(() => '')).toBe(`no answer within ${SELF_TEST_MS} ms`);
  expect(SELF_TEST_MS).toBeLessThan(READY_DEADLINE_MS);
});
