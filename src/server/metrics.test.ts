import { expect, test } from '@jest/globals';
import { NO_PULLS } from '../store/pulls.ts';
import { COUNTERS, type Counters } from '../stream/counters.ts';
import { serverMetrics } from './metrics.ts';

const counters = Object.fromEntries(COUNTERS.map((name, index) => [name, index + 1])) as Counters;
const made = (stream: () => Counters | undefined) =>
  serverMetrics({
    stream,
    buffers: () => stream() && { receiveBytes: 1_000, receiveDrops: 2_000, sendBytes: 0 },
    load: () => ({ devices: 3, booting: 1, loadPercent: 2 }),
    servedCopies: () => 4,
    journalEntries: () => 0,
    pulls: () => NO_PULLS,
    rottenChunks: () => 0,
    jobs: (state) => (state === 'Queued' ? 2 : 1),
    databaseReachable: () => true,
  });
const valuesOf = async (text: Promise<string>): Promise<Map<string, number>> =>
  new Map(
    [...(await text).matchAll(/^(bootfarm_\S+) (\S+)$/gm)].map(
      ([, name = '', value]) => [name, Number(value)] as const,
    ),
  );

test('each counter of the stream is told once, and again it is not added to', async () => {
  const { registry } = made(() => counters);
  await registry.metrics();
  const told = await valuesOf(registry.metrics());
  const ofStream = [...told]
    .filter(([name]) => name.startsWith('bootfarm_stream_') && !name.includes('_buffer_'))
    .map(([, value]) => value);
  expect(ofStream.toSorted((a, b) => a - b)).toEqual(COUNTERS.map((_, index) => index + 1));
  expect(told.get('bootfarm_stream_packets_total{direction="in"}')).toBe(counters.packetsIn);
  expect(told.get('bootfarm_stream_dropped_total{reason="Busy"}')).toBe(counters.dropBusy);
  expect(told.get('bootfarm_stream_receive_buffer_bytes')).toBe(1_000);
  expect(told.get('bootfarm_stream_receive_buffer_drops_total')).toBe(2_000);
});

test('what never happened is 0', async () => {
  const { registry, bootEvent } = made(() => undefined);
  const before = await valuesOf(registry.metrics());
  expect(before.get('bootfarm_stream_reads_total')).toBe(0);
  expect(before.get('bootfarm_udp_dropped_total{protocol="tftp",reason="PortZero"}')).toBe(0);
  expect(before.get('bootfarm_work_jobs{state="Queued"}')).toBe(2);
  expect(before.get('bootfarm_boot_events_total{protocol="http",event="script"}')).toBe(0);
  bootEvent('http', 'script');
  const after = await valuesOf(registry.metrics());
  expect(after.get('bootfarm_boot_events_total{protocol="http",event="script"}')).toBe(1);
  expect(after.get('bootfarm_build_info{role="server",release="dev"}')).toBe(1);
});
