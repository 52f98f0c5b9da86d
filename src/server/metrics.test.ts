import { expect, test } from '@jest/globals';
import { someNumbers } from '../../test/builders/metrics.ts';
import { COUNTERS, type Counters } from '../stream/counters.ts';
import { serverMetrics } from './metrics.ts';

const counters = Object.fromEntries(COUNTERS.map((name, index) => [name, index + 1])) as Counters;
const made = (stream: () => Counters | undefined) =>
  serverMetrics(
    someNumbers({
      stream,
      buffers: () => stream() && { receiveBytes: 1_000, receiveDrops: 2_000, sendBytes: 0 },
      jobs: (state) => (state === 'Queued' ? 2 : 1),
    }),
  );
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
    .filter(([name]) => name.startsWith('bootfarm_stream_') && !/_(buffer|disk)_/.test(name))
    .map(([, value]) => value);
  expect(ofStream.toSorted((a, b) => a - b)).toEqual(COUNTERS.map((_, index) => index + 1));
  expect(told.get('bootfarm_stream_packets_total{direction="in"}')).toBe(counters.packetsIn);
  expect(told.get('bootfarm_stream_dropped_total{reason="Busy"}')).toBe(counters.dropBusy);
  expect(told.get('bootfarm_stream_receive_buffer_bytes')).toBe(1_000);
  expect(told.get('bootfarm_stream_receive_buffer_drops_total')).toBe(2_000);
});

test('what never happened is 0', async () => {
  const { registry, bootEvent, booted, loggedIn, read } = made(() => undefined);
  const before = await valuesOf(registry.metrics());
  expect(before.get('bootfarm_stream_reads_total')).toBe(0);
  expect(before.get('bootfarm_udp_dropped_total{protocol="tftp",reason="PortZero"}')).toBe(0);
  expect(before.get('bootfarm_work_jobs{state="Queued"}')).toBe(2);
  expect(before.get('bootfarm_boot_events_total{protocol="http",event="script"}')).toBe(0);
  bootEvent('http', 'script');
  booted({ kind: 'refused', code: 'Disabled' });
  booted(undefined);
  loggedIn({ kind: 'refuse', code: 'Busy', retryAfterMs: 0, text: '' }, 0.2);
  read(0.3);
  const after = await valuesOf(registry.metrics());
  expect(after.get('bootfarm_boot_decisions_total{decision="Disabled"}')).toBe(1);
  expect(after.get('bootfarm_boot_decisions_total{decision="unavailable"}')).toBe(1);
  expect(after.get('bootfarm_login_answers_total{answer="Busy"}')).toBe(1);
  expect(after.get('bootfarm_login_seconds_bucket{le="0.1"}')).toBe(0);
  expect(after.get('bootfarm_login_seconds_bucket{le="0.25"}')).toBe(1);
  expect(after.get('bootfarm_stream_disk_read_seconds_bucket{le="0.5"}')).toBe(1);
  expect(after.get('bootfarm_boot_events_total{protocol="http",event="script"}')).toBe(1);
  expect(after.get('bootfarm_build_info{role="server",release="dev"}')).toBe(1);
});
