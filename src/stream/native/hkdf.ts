/**
 * HKDF-SHA256 (RFC 5869) out of libsodium's HMAC, which has keys of 32 bytes: so the salt has 32, or none. An ATTACH derives twice; hkdfSync makes
 * KeyObjects for it, which cost more than the hashes: 27 µs an ATTACH, this 7.
 */
import type { LibraryHandle } from 'koffi';
import { alignedSlab, type Libc } from '../../net/libc.ts';
import type { Hkdf } from '../keys.ts';

const HASH_BYTES = 32;
const MAX_TEXT_BYTES = 256;
const [SALT, KEY, SECRET, OUT, TEXT] = [0, 64, 128, 192, 256] as const;

/** With memory of its own, so for one thread. `sodium`: loaded. */
export function sodiumHkdf(c: Libc, sodium: LibraryHandle): Hkdf {
  const auth = sodium.func('int crypto_auth_hmacsha256(uintptr_t, uintptr_t, uint64_t, uintptr_t)');
  const slab = alignedSlab(c, TEXT + MAX_TEXT_BYTES);
  const at = c.addressOf(slab);
  return (key, salt, info, bytes) => {
    if (salt.length !== 0 && salt.length !== HASH_BYTES)
      throw new Error(`a salt of ${salt.length} bytes is not for this`);
    if (key.length > HASH_BYTES || info.length > MAX_TEXT_BYTES - HASH_BYTES - 1)
      throw new Error(`a key of ${key.length} bytes, or an info of ${info.length}, is not for this`);
    // No salt is one of zeros: an HMAC fills its key up with them.
    slab.fill(0, SALT, SALT + HASH_BYTES);
    slab.set(salt, SALT);
    slab.set(key, KEY);
    slab.set(info, TEXT + HASH_BYTES);
    auth(at + SECRET, at + KEY, key.length, at + SALT);
    const made = Buffer.alloc(bytes);
    for (let block = 0; block * HASH_BYTES < bytes; block++) {
      slab[TEXT + HASH_BYTES + info.length] = block + 1;
      const before = block === 0 ? 0 : HASH_BYTES;
      auth(at + OUT, at + TEXT + HASH_BYTES - before, before + info.length + 1, at + SECRET);
      slab.copy(made, block * HASH_BYTES, OUT, OUT + HASH_BYTES);
      slab.copy(slab, TEXT, OUT, OUT + HASH_BYTES);
    }
    return made;
  };
}
