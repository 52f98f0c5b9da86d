/** What the native transport calls: libc, libsodium's SipHash (0.05 µs, call included) and keys (`hkdf.ts`), and the tag of an answer (`aead.ts`). */
import koffi, { type LibraryHandle } from 'koffi';
import { type Pieces, pieces } from '../../image/tree/pieces.ts';
import { errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { alignedSlab, type Libc, libc, type Pointer } from '../../net/libc.ts';
import type { Hkdf } from '../keys.ts';
import type { Sip } from '../siphash.ts';
import { type AeadTag, opensslTag, sodiumTag } from './aead.ts';
import { sodiumHkdf } from './hkdf.ts';

export interface Native extends Libc {
  /** Writes 16 bytes at `out`. */
  readonly siphash: (out: Pointer, from: Pointer, bytes: number, key: Pointer) => number;
  readonly aeadTag: AeadTag;
  /** As `pieces_hash`: writes 32 bytes a piece, and says how many there are. Called only where a disk has a leaf table. */
  readonly hashPieces: Pieces['hashAt'];
  /** The same hash on Buffers, for paths that are not hot. */
  readonly sip: Sip;
  readonly hkdf: Hkdf;
}

let loaded: Result<Native, Fault<'NativeUnavailable'>> | undefined;

/** Loads the libraries once a thread. */
export function native(): Result<Native, Fault<'NativeUnavailable'>> {
  loaded ??= load();
  return loaded;
}

function load(): Result<Native, Fault<'NativeUnavailable'>> {
  const c = libc();
  if (!c.ok) return c;
  try {
    return ok({ ...c.value, ...bindings(c.value) });
  } catch (thrown) {
    return fail(
      'NativeUnavailable',
      `koffi cannot load libsodium.so.23 (Debian: libsodium23): ${errorMessage(thrown)}`,
    );
  }
}

function bindings(c: Libc): Omit<Native, keyof Libc> {
  const sodium = koffi.load('libsodium.so.23');
  // Without it libsodium knows nothing of the processor, and its tags take 0.71 ns a byte.
  if (sodium.func('int sodium_init()')() < 0) throw new Error('sodium_init failed');
  const siphash = sodium.func('int crypto_shorthash_siphashx24(uintptr_t, uintptr_t, uint64_t, uintptr_t)');
  return {
    siphash,
    sip: sipOf(c, siphash),
    aeadTag: fastestTag(c, sodium),
    hashPieces: hashPieces(),
    hkdf: sodiumHkdf(c, sodium),
  };
}

/** Where the key, the hash and the text lie: a number is passed for nothing, a Buffer is looked up. */
const SIP = { key: 0, hash: 64, text: 128, maxTextBytes: 65_536 } as const;

function sipOf(c: Libc, siphash: Native['siphash']): Sip {
  const slab = alignedSlab(c, SIP.text + SIP.maxTextBytes);
  const at = c.addressOf(slab);
  return (key, bytes) => {
    slab.set(key, SIP.key);
    slab.set(bytes, SIP.text);
    siphash(at + SIP.hash, at + SIP.text, bytes.length, at + SIP.key);
    return Buffer.from(slab.subarray(SIP.hash, SIP.hash + 16));
  };
}

function hashPieces(): Pieces['hashAt'] {
  const library = pieces();
  if (library.ok) return library.value.hashAt;
  return () => {
    throw new Error(library.error.message);
  };
}

function fastestTag(c: Libc, sodium: LibraryHandle): AeadTag {
  try {
    return opensslTag(c);
  } catch {
    return sodiumTag(c, sodium);
  }
}
