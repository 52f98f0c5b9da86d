import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  BOOT_LIMITS,
  BOOT_STEPS,
  type Boot,
  type BootRecord,
  type BootStep,
  type BootStepName,
  isBootRecord,
  mergedRecord,
  mergedUnknown,
  unknownOf,
  withStep,
} from './bootrecord.ts';

const MINUTE = 60_000;
const aStep = (step: BootStepName, at: number, more: Partial<BootStep> = {}): BootStep => ({
  step,
  server: 'a',
  at,
  lastAt: at,
  times: 1,
  ...more,
});
const fold = (steps: readonly BootStep[]): readonly Boot[] =>
  steps.reduce<readonly Boot[]>((boots, step) => withStep(boots, step), []);
/** `discover script | discover`: boots as words. */
const words = (boots: readonly Boot[]): string =>
  boots.map(({ steps }) => steps.map(({ step }) => step).join(' ')).join(' | ');

const aRecord = (steps: readonly BootStep[], more: Partial<BootRecord> = {}): BootRecord => ({
  mac: '52:54:00:00:00:01',
  known: true,
  firstAt: steps[0]?.at ?? 0,
  lastAt: steps.at(-1)?.at ?? 0,
  boots: fold(steps),
  ...more,
});

describe('one boot or two', () => {
  test.each<{ what: string; steps: readonly [BootStepName, number, string?][]; boots: string }>([
    {
      what: 'a chained iPXE asks DHCP twice',
      steps: [
        ['discover', 0],
        ['offer', 1],
        ['tftp', 900],
        ['discover', 2_000],
        ['offer', 2_001],
        ['script', 4_000],
      ],
      boots: 'discover offer tftp script',
    },
    {
      what: 'a DISCOVER after the script is another boot',
      steps: [
        ['discover', 0],
        ['script', 4_000],
        ['kernel', 5_000],
        ['discover', 6_000],
      ],
      boots: 'discover script kernel | discover',
    },
    {
      what: 'a machine that waits asks for its script again and again',
      steps: [
        ['script', 0],
        ['script', 5_000],
        ['kernel', 5_100],
        ['script', 9_000],
        ['kernel', 9_100],
      ],
      boots: 'script kernel',
    },
    {
      what: 'a script after a login is another boot, though nobody heard DHCP',
      steps: [
        ['script', 0],
        ['kernel', 1],
        ['login', 9],
        ['attach', 10],
        ['script', 60_000],
      ],
      boots: 'script kernel login attach | script',
    },
    {
      what: 'a device that moves after a day goes on with its boot',
      steps: [
        ['script', 0],
        ['login', 9],
        ['attach', 10],
        ['attach', 1_440 * MINUTE, 'b'],
        ['end', 1_441 * MINUTE],
      ],
      boots: 'script login attach attach end',
    },
    {
      what: 'firmware that said nothing for long begins anew',
      steps: [
        ['discover', 0],
        ['discover', 11 * MINUTE],
      ],
      boots: 'discover | discover',
    },
    {
      what: 'another server whose clock is 3 s ahead heard the same DISCOVER',
      steps: [
        ['discover', 0],
        ['script', 2_000],
        ['discover', 3_000, 'b'],
        ['offer', 3_001, 'b'],
      ],
      boots: 'discover script discover offer',
    },
    {
      what: 'another server heard the next DISCOVER',
      steps: [
        ['discover', 0],
        ['script', 2_000],
        ['discover', 30_000, 'b'],
      ],
      boots: 'discover script | discover',
    },
    {
      what: 'a machine that was reset: the session of its last boot falls silent in its next one',
      steps: [
        ['script', 0],
        ['login', 9],
        ['attach', 10],
        ['discover', 60_000],
        ['script', 62_000],
        ['end', 90_000],
      ],
      boots: 'script login attach end | discover script',
    },
    {
      what: 'the end of what nobody saw begin',
      steps: [
        ['discover', 0],
        ['end', 9],
      ],
      boots: 'discover',
    },
    {
      what: 'a login with no boot before it',
      steps: [
        ['login', 5],
        ['attach', 6],
      ],
      boots: 'login attach',
    },
  ])('$what', ({ steps, boots }) => {
    expect(words(fold(steps.map(([step, at, server = 'a']) => aStep(step, at, { server }))))).toBe(boots);
  });

  test('the same step is one, with when it came first and last; with another end, or of another file, it is another', () => {
    const reason = { code: 'Disabled', message: 'device pc is disabled' };
    const [boot] = fold([
      aStep('script', 0, { reason }),
      aStep('script', 5_000, { reason: { ...reason, message: 'newer words' } }),
      aStep('script', 10_000),
      aStep('tftp', 11_000, { detail: 'snponly.efi' }),
    ]);
    expect(boot?.steps).toEqual([
      aStep('script', 0, { lastAt: 5_000, times: 2, reason: { ...reason, message: 'newer words' } }),
      aStep('script', 10_000),
    ]);
  });
});

const anyStep = fc.record({
  step: fc.constantFrom(...BOOT_STEPS),
  server: fc.constantFrom('a', 'b', 'c'),
  gap: fc.constantFrom(0, 1, 4_000, 20_000, 11 * MINUTE),
  detail: fc.constantFrom(undefined, 'x', 'y'),
  code: fc.constantFrom(undefined, 'Disabled', 'Silent'),
});
const anySteps = fc.array(anyStep, { maxLength: 120 }).map((all) => {
  let at = 0;
  return all.map(({ step, server, gap, detail, code }) => {
    at += gap;
    return aStep(step, at, {
      server,
      ...(detail === undefined ? {} : { detail }),
      ...(code === undefined ? {} : { reason: { code, message: code } }),
    });
  });
});

describe('whatever comes', () => {
  test('a record is bounded, in order, and as its schema says', () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const boots = fold(steps);
        expect(boots.length).toBeLessThanOrEqual(BOOT_LIMITS.boots);
        for (const { steps: own } of boots) {
          expect(own.length).toBeLessThanOrEqual(BOOT_LIMITS.steps);
          expect(own.map(({ at }) => at)).toEqual(own.map(({ at }) => at).sort((a, b) => a - b));
        }
        expect(isBootRecord(aRecord(steps))).toBe(true);
        if (steps.length > 0 && steps.at(-1)?.step !== 'end')
          expect(boots.at(-1)?.steps.some(({ step }) => step === steps.at(-1)?.step)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('in whatever order servers answer, the story is the same', () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const of = (name: string) => aRecord(steps.filter(({ server }) => server === name));
        const records = ['a', 'b', 'c'].map(of);
        const merged = mergedRecord(records);
        expect(mergedRecord(records.toReversed())?.boots.flatMap((boot) => boot.steps).length).toBe(
          merged?.boots.flatMap((boot) => boot.steps).length,
        );
        expect(merged?.boots.length).toBeLessThanOrEqual(BOOT_LIMITS.boots);
      }),
      { numRuns: 60 },
    );
  });
});

test('a boot that moved between servers is one', () => {
  const a = aRecord([aStep('discover', 0), aStep('offer', 1), aStep('script', 5_000), aStep('discover', 90_000)]);
  const b = aRecord(
    [
      aStep('discover', 2, { server: 'b' }),
      aStep('tftp', 900, { server: 'b' }),
      aStep('kernel', 6_000, { server: 'b' }),
      aStep('login', 9_000, { server: 'b' }),
      aStep('discover', 90_001, { server: 'b' }),
    ],
    { uuid: 'u', architecture: 7 },
  );
  const merged = mergedRecord([a, b]);
  expect(words(merged?.boots ?? [])).toBe('discover offer discover tftp script kernel login | discover discover');
  expect(merged).toMatchObject({ uuid: 'u', architecture: 7, firstAt: 0, lastAt: 90_001 });
  expect(mergedRecord([])).toBeUndefined();
});

test('an unknown machine is told with how far it came, by all who heard it', () => {
  const reason = { code: 'UnknownDevice', message: 'the farm does not know it' };
  const one = unknownOf(
    aRecord([aStep('discover', 0), aStep('offer', 1, { reason })], { known: false, relay: '10.0.0.1' }),
  );
  expect(one).toMatchObject({ step: 'offer', reason, servers: ['a'], relay: '10.0.0.1' });
  const other = unknownOf(aRecord([aStep('script', 70, { server: 'b' })], { known: false, address: '10.0.0.7' }));
  const elsewhere = { ...other, mac: '52:54:00:00:00:02', lastAt: 99 };
  expect(mergedUnknown([[one], [other, elsewhere]])).toEqual([
    elsewhere,
    { ...other, firstAt: 0, relay: '10.0.0.1', servers: ['a', 'b'] },
  ]);
});
