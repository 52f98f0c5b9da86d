import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type KeyRing, open, seal } from './seal.ts';

const ring: KeyRing = {
  current: 2,
  keys: new Map([
    [1, new Uint8Array(32).fill(1)],
    [2, new Uint8Array(32).fill(2)],
  ]),
};

test('what was sealed opens, with an older key too', () => {
  expect(open(ring, 'ticket', seal(ring, 'ticket', { device: 'pc1' }))).toEqual({ ok: true, value: { device: 'pc1' } });
  expect(open(ring, 'ticket', seal({ ...ring, current: 1 }, 'ticket', 7))).toEqual({ ok: true, value: 7 });
});

test('a value for one purpose does not open for another', () => {
  expect(open(ring, 'token', seal(ring, 'ticket', 1))).toMatchObject({ ok: false, error: { code: 'SealBroken' } });
});

test('an unknown key is named', () => {
  const other: KeyRing = { current: 9, keys: new Map([[9, new Uint8Array(32)]]) };
  expect(open(ring, 'ticket', seal(other, 'ticket', 1))).toMatchObject({
    ok: false,
    error: { code: 'SealKeyUnknown' },
  });
});

test('no altered, cut or random bytes open or throw', () => {
  const good = seal(ring, 'ticket', { device: 'pc1' });
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = Uint8Array.from(good, (byte, index) => (index === at ? byte ^ flip : byte));
      expect(open(ring, 'ticket', bad).ok).toBe(false);
      expect(open(ring, 'ticket', good.subarray(0, at)).ok).toBe(false);
    }),
    { seed: 1 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => !open(ring, 'ticket', bytes).ok),
    { seed: 2 },
  );
});
