import { expect, test } from '@jest/globals';
import { until } from '../../../test/setup/time.ts';
import { silentLogger } from '../../telemetry/log.ts';
import { counterAt } from '../counters.ts';
import { startStreamServer } from '../server.ts';
import type { Order, Settings } from '../shard.ts';
import { openNative } from './transport.ts';

const SETTINGS: Settings = {
  ring: { current: 1, keys: new Map() },
  servers: [],
  listVersion: 0,
  state: 'Streaming',
  loadPercent: 0,
  refused: new Set(),
};

test('a thread that dies is told, once', async () => {
  const told: string[] = [];
  const opened = await openNative(
    {
      address: '127.0.0.1',
      port: 0,
      threads: 1,
      site: 'paris',
      mode: 'Trusted',
      instance: Buffer.alloc(8),
      cookieKey: Buffer.alloc(16),
      maxSegmentBytes: 1_408,
      settings: SETTINGS,
    },
    { report: () => undefined, failed: (error) => told.push(error.message) },
  );
  // What no order is, no thread survives.
  if (opened.ok) opened.value.order(0, undefined as unknown as Order);
  await until('it is told', () => told.length > 0);
  if (opened.ok) await opened.value.close();
  expect(told).toEqual([expect.stringContaining('undefined')]);
});

const aServer = (address: string, native: 'auto' | 'native') =>
  startStreamServer({
    address,
    port: 0,
    threads: 1,
    ring: () => ({ current: 1, keys: new Map() }),
    mode: 'Trusted',
    site: 'paris',
    login: async () => ({ kind: 'refuse', code: 'NoServer', retryAfterMs: 0, text: '' }),
    onSession: () => undefined,
    onFailure: (error) => {
      throw error;
    },
    log: silentLogger,
    native,
  });

test('an IPv6 address is served by plain sockets for now', async () => {
  const started = await aServer('::1', 'auto');
  if (!started.ok) throw new Error(started.error.message);
  expect(started.value.kind).toBe('plain');
  expect(await started.value.selfTest()).toMatchObject({ ok: true });
  await started.value.close();
});

test('a thread counts its turns although nothing comes', async () => {
  const started = await aServer('127.0.0.1', 'native');
  if (!started.ok) throw new Error(started.error.message);
  const [counters] = started.value.threads();
  const turns = (): number => counters?.[counterAt('turns')] ?? 0;
  const before = turns();
  await until('it turned', () => turns() > before + 1);
  await started.value.close();
});
