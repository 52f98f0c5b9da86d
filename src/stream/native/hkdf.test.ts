import { expect, test } from '@jest/globals';
import koffi from 'koffi';
import { libc } from '../../net/libc.ts';
import { hkdf } from '../keys.ts';
import { sodiumHkdf } from './hkdf.ts';

const loaded = libc();
if (!loaded.ok) throw new Error(loaded.error.message);
const derive = sodiumHkdf(loaded.value, koffi.load('libsodium.so.23'));
const ascending = (from: number, length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => from + index));

test('RFC 5869, test case 3: no salt', () => {
  const made = derive(Buffer.alloc(22, 0x0b), Buffer.alloc(0), Buffer.alloc(0), 42);
  expect(made.toString('hex')).toBe(
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  );
});

test.each([1, 16, 32, 33, 64, 96, 200])('%i bytes are those of OpenSSL, with a salt and without', (bytes) => {
  for (const salt of [Buffer.alloc(0), ascending(7, 32)])
    for (const info of [Buffer.alloc(0), ascending(100, 26)])
      expect(derive(ascending(1, 32), salt, info, bytes)).toEqual(hkdf(ascending(1, 32), salt, info, bytes));
});

test('what it cannot take throws', () => {
  expect(() => derive(ascending(1, 33), Buffer.alloc(0), Buffer.alloc(0), 16)).toThrow('a key of 33 bytes');
  expect(() => derive(ascending(1, 32), Buffer.alloc(0), Buffer.alloc(224), 16)).toThrow('an info of 224');
  expect(() => derive(ascending(1, 32), Buffer.alloc(33), Buffer.alloc(0), 16)).toThrow('a salt of 33 bytes');
});
