import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fillBox, isBoxKey, keyIdOf, makePrivateKey, openBox, publicKeyOf } from './box.ts';

const RECIPIENT = Buffer.from('77076d0a7318a57d3c16c17251b26645df4c2f92ebc0992ac177fba51db92c2a', 'hex');
const MOMENT = Buffer.from('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb', 'hex');
const CONTENT = Buffer.from('keys of a farm');
/** Made from the layout by Python's `cryptography`. */
const KNOWN = Buffer.from(
  '01c7323ae030472bbbde9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f7878c656c1457aabf3fbb380a3e6d367988c6f1a94cb83d002717ec3af9f',
  'hex',
);
const failure = (code: string) => ({ ok: false, error: { code } });

test('the known box is made, and opens', () => {
  expect(fillBox(publicKeyOf(RECIPIENT), 'test box', CONTENT, MOMENT)).toEqual(KNOWN);
  expect(openBox(RECIPIENT, 'test box', KNOWN)).toEqual({ ok: true, value: CONTENT });
});

test('whatever is put in comes out, and no two boxes are the same', () => {
  const publicKey = publicKeyOf(RECIPIENT);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (content) => {
      const [first, second] = [fillBox(publicKey, 'x', content), fillBox(publicKey, 'x', content)];
      expect(openBox(RECIPIENT, 'x', first)).toEqual({ ok: true, value: Buffer.from(content) });
      expect(first.equals(second)).toBe(false);
    }),
    { seed: 1, numRuns: 50 },
  );
});

describe('is not opened', () => {
  test('by another key, which is told from a broken box', () => {
    const other = makePrivateKey();
    expect(openBox(other, 'test box', KNOWN)).toEqual({
      ok: false,
      error: {
        code: 'BoxKeyOther',
        message: `the test box is sealed for key c7323ae030472bbb, and this is key ${keyIdOf(publicKeyOf(other))}`,
      },
    });
  });

  test('for another purpose', () => {
    expect(openBox(RECIPIENT, 'other box', KNOWN)).toMatchObject(failure('BoxBroken'));
  });

  test('with any one bit flipped', () => {
    for (let bit = 0; bit < KNOWN.length * 8; bit++) {
      const bad = Buffer.from(KNOWN);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect([bit, openBox(RECIPIENT, 'test box', bad).ok]).toEqual([bit, false]);
    }
  });

  test('cut, longer or made of random bytes, wherever its bytes lie', () => {
    for (let length = 0; length < KNOWN.length; length++)
      expect(openBox(RECIPIENT, 'test box', KNOWN.subarray(0, length)).ok).toBe(false);
    expect(openBox(RECIPIENT, 'test box', Buffer.concat([KNOWN, Buffer.of(0)])).ok).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => !openBox(RECIPIENT, 'test box', bytes).ok),
      { seed: 2 },
    );
    const offset = Buffer.concat([Buffer.of(9, 9, 9), KNOWN]).subarray(3);
    expect(openBox(RECIPIENT, 'test box', offset).ok).toBe(true);
  });

  test('when its key of the moment is a point of low order', () => {
    const bad = Buffer.concat([KNOWN.subarray(0, 9), Buffer.alloc(32), KNOWN.subarray(41)]);
    expect(openBox(RECIPIENT, 'test box', bad)).toMatchObject(failure('BoxBroken'));
  });
});

test.each([
  ['a public key', publicKeyOf(RECIPIENT), true],
  ['a point of low order', Buffer.alloc(32), false],
  ['31 bytes', Buffer.alloc(31, 9), false],
])('%s is one to fill a box for: %#', (_, bytes, is) => {
  expect(isBoxKey(bytes)).toBe(is);
});
