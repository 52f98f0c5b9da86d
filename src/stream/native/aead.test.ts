import { createCipheriv } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import koffi from 'koffi';
import { alignedSlab, libc } from '../../net/libc.ts';
import { type AeadTag, opensslTag, sodiumTag } from './aead.ts';

const loaded = libc();
if (!loaded.ok) throw new Error(loaded.error.message);
const c = loaded.value;
const slab = alignedSlab(c, 128 << 10);
const [TAG, NONCE, KEY, AD] = [0, 64, 128, 192];

const made = (tag: AeadTag, ad: Uint8Array, nonce: Uint8Array, key: Uint8Array): Buffer => {
  slab.fill(0xaa, TAG, 64);
  slab.set(nonce, NONCE);
  slab.set(key, KEY);
  slab.set(ad, AD);
  const at = c.addressOf(slab);
  tag(at + TAG, at + AD, ad.length, at + NONCE, at + KEY);
  expect(slab.subarray(16, 64).every((byte) => byte === 0xaa)).toBe(true);
  return Buffer.from(slab.subarray(0, 16));
};

function byNode(ad: Uint8Array, nonce: Uint8Array, key: Uint8Array): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  cipher.setAAD(ad, { plaintextLength: 0 });
  cipher.final();
  return cipher.getAuthTag();
}

test.each([
  { by: 'OpenSSL', tag: opensslTag(c) },
  { by: 'libsodium', tag: sodiumTag(c, koffi.load('libsodium.so.23')) },
])('the tag by $by is that of node:crypto, whatever came before it', ({ tag }) => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 65_576, size: 'max' }), bytes(12), bytes(32), (ad, nonce, key) => {
      expect(made(tag, ad, nonce, key)).toEqual(byNode(ad, nonce, key));
    }),
    { seed: 13, numRuns: 200 },
  );
});
