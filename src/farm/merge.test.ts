import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ChainVersion, chainLength, type MergeFacts, mergeVerdict } from './merge.ts';

const at = (time: string): number => Date.parse(`2026-11-29T${time}:00Z`) / 1_000;
/** B is a base, D a difference, M a merged base, ? nobody said. */
const chain = (kinds: string): readonly ChainVersion[] =>
  [...kinds].map((kind, number) => ({
    number,
    type: ({ B: 'Base', D: 'Differencing', M: 'Merged' } as const)[kind as 'B' | 'D' | 'M'],
  }));
const base = (number: number) => ({ number, isDifference: false });
const facts = (more: Partial<MergeFacts> & { kinds?: string }): MergeFacts => {
  const versions = chain(more.kinds ?? 'BDDDDDD');
  return {
    ...{ versions, boots: versions.length - 1, unmanaged: [], maxChain: 5, isBusy: false, nowSeconds: at('12:00') },
    ...more,
  };
};

test.each([
  ['B', 0],
  ['BDDD', 3],
  ['BDDMD', 1],
  ['BDDM', 0],
  ['BD?D', 1],
  ['DD', 2],
])('of %s the chain has %i differences', (kinds, length) => {
  expect(chainLength(chain(kinds))).toBe(length);
});

test.each<{ what: string; given: Partial<MergeFacts> & { kinds?: string }; is: object }>([
  { what: 'longer than it may be', given: {}, is: { kind: 'Due' } },
  { what: 'as long as it may be', given: { kinds: 'BDDDDD' }, is: { kind: 'None' } },
  { what: 'long below a merged base', given: { kinds: 'BDDDDDDDM' }, is: { kind: 'None' } },
  { what: 'of a version that machines do not boot yet', given: { boots: 5 }, is: { kind: 'None' } },
  { what: 'of what nobody boots', given: { boots: undefined }, is: { kind: 'None' } },
  { what: 'merged already', given: { unmanaged: [base(7)] }, is: { kind: 'Made', version: 7 } },
  {
    what: 'not the newest that lies there',
    given: { unmanaged: [base(3), base(9), base(8)] },
    is: { kind: 'Made', version: 9 },
  },
  {
    what: 'below one that somebody works on',
    given: { unmanaged: [{ number: 7, isDifference: true }] },
    is: { kind: 'Waits', version: 7 },
  },
  { what: 'long, and an old version is not named any more', given: { unmanaged: [base(3)] }, is: { kind: 'Due' } },
  { what: 'being worked on', given: { isBusy: true }, is: { kind: 'Working' } },
  {
    what: 'to be merged at night',
    given: { mergeAt: '02:00' },
    is: { kind: 'Later', at: at('02:00') + 86_400 },
  },
  { what: 'to be merged today', given: { mergeAt: '22:15' }, is: { kind: 'Later', at: at('22:15') } },
  { what: 'to be merged now', given: { mergeAt: '11:01' }, is: { kind: 'Due' } },
  {
    what: 'to be merged just before midnight',
    given: { mergeAt: '23:59', nowSeconds: at('00:10') },
    is: { kind: 'Due' },
  },
])('a chain that is $what: $is', ({ given, is }) => {
  expect(mergeVerdict(facts(given))).toEqual(is);
});

test('what is put off is due when it was said that it would be', () => {
  const time = fc.tuple(fc.nat(23), fc.nat(59)).map((both) => both.map((n) => String(n).padStart(2, '0')).join(':'));
  fc.assert(
    fc.property(time, fc.nat(86_400 * 3), (mergeAt, later) => {
      const nowSeconds = at('00:00') + later;
      let verdict = mergeVerdict(facts({ mergeAt, nowSeconds }));
      for (let tries = 0; verdict.kind === 'Later'; tries++) {
        expect(tries).toBeLessThan(3);
        verdict = mergeVerdict(facts({ mergeAt, nowSeconds: verdict.at }));
      }
      expect(verdict).toEqual({ kind: 'Due' });
    }),
    { seed: 14 },
  );
});
