import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { BootStepName } from './bootrecord.ts';
import { BootRing, type HeardStep, RING_LIMITS } from './bootring.ts';

const macOf = (n: number): string =>
  `52:54:00:${[n >> 16, n >> 8, n].map((byte) => (byte & 0xff).toString(16).padStart(2, '0')).join(':')}`;
const heard = (n: number, at: number, more: Partial<HeardStep> = {}, step: BootStepName = 'discover'): HeardStep => ({
  mac: macOf(n),
  known: true,
  step: { step, server: 'a', at, lastAt: at, times: 1 },
  ...more,
});
const macs = (ring: BootRing): readonly string[] => [...ring.records()].map(({ mac }) => mac);

test('a flood of made-up MACs takes no word of a machine of the farm, nor of one that asked by HTTP, nor of another network', () => {
  const ring = new BootRing();
  for (let n = 0; n < 50; n++) ring.hear(heard(n, n));
  for (let n = 50; n < 60; n++) ring.hear(heard(n, n, { known: false, address: `10.0.0.${n}` }, 'script'));
  for (let n = 60; n < 70; n++) ring.hear(heard(n, n, { known: false, relay: '10.1.0.1' }));
  const own = macs(ring);
  for (let n = 0; n < 20_000; n++) {
    const relay = n % 3 === 0 ? { relay: `10.9.${(n >> 8) & 255}.${n & 255}` } : {};
    ring.hear(heard(100_000 + n, 1_000 + n, { known: false, ...relay }));
  }
  expect(macs(ring)).toEqual(expect.arrayContaining([...own]));
  const { machines, more } = ring.unknown(100);
  expect(machines).toHaveLength(100);
  expect(machines[0]?.mac).toBe(macOf(119_999));
  expect(more).toBe(RING_LIMITS.unknown - 100);
});

test('a machine that is added moves to those of the farm with its story, and one that is removed away from them', () => {
  const ring = new BootRing();
  ring.hear(heard(1, 10, { known: false, uuid: 'u' }));
  ring.hear(heard(1, 20, { known: undefined }, 'tftp'));
  expect(ring.unknown(9).machines).toMatchObject([{ mac: macOf(1), step: 'tftp', firstAt: 10, uuid: 'u' }]);
  ring.hear(heard(1, 30, {}, 'script'));
  expect(ring.unknown(9).machines).toEqual([]);
  expect(ring.record(macOf(1))).toMatchObject({ known: true, firstAt: 10, lastAt: 30, uuid: 'u' });
  ring.hear(heard(1, 40, { known: undefined }, 'kernel'));
  expect(ring.record(macOf(1))?.boots[0]?.steps).toHaveLength(4);
  ring.hear(heard(1, 50, { known: false }, 'kernel'));
  expect(ring.unknown(9).machines).toHaveLength(1);
});

test('who was heard longest ago loses its oldest boot first, and then its record', () => {
  const ring = new BootRing({ ...RING_LIMITS, knownBytes: 2_200 });
  for (const at of [0, 1_000_000, 2_000_000]) ring.hear(heard(1, at));
  ring.hear(heard(2, 2_000_001));
  expect(ring.record(macOf(1))?.boots).toHaveLength(3);
  ring.hear(heard(3, 2_000_003));
  expect(ring.record(macOf(1))?.boots.length).toBeLessThan(3);
  for (let n = 4; n < 20; n++) ring.hear(heard(n, 2_000_000 + n));
  expect(ring.record(macOf(1))).toBeUndefined();
  expect(macs(ring).at(-1)).toBe(macOf(19));
});

test('whatever is heard, both bounds hold, and what is heard last is kept', () => {
  const limits = { knownBytes: 4_000, unknown: 6, places: 2 };
  const any = fc.record({
    n: fc.integer({ min: 0, max: 12 }),
    known: fc.constantFrom(true, false, undefined),
    step: fc.constantFrom<BootStepName>('discover', 'script', 'login', 'end'),
    relay: fc.constantFrom(undefined, '10.0.0.1', '10.0.0.2', '10.0.0.3'),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 150 }), (all) => {
      const ring = new BootRing(limits);
      for (const [at, { n, known, step, relay }] of all.entries()) {
        ring.hear(heard(n, at, { known, ...(relay === undefined ? {} : { relay }) }, step));
        const records = [...ring.records()];
        expect(new Set(records.map(({ mac }) => mac)).size).toBe(records.length);
        expect(records.filter((record) => !record.known).length).toBeLessThanOrEqual(limits.unknown);
        // 500 bytes are the least that one is counted with: of a machine of which the end of a session is all that was heard.
        expect(records.filter((record) => record.known).length).toBeLessThanOrEqual(limits.knownBytes / 500);
        for (const { mac } of records) expect(ring.record(mac)?.mac).toBe(mac);
      }
      const last = all.at(-1);
      if (last) expect(ring.record(macOf(last.n))?.lastAt).toBe(all.length - 1);
    }),
    { numRuns: 50, seed: 20261130 },
  );
});
