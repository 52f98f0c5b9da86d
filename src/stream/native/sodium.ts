/** What the native transport calls: libc, and of libsodium SipHash (0.05 µs, call included) and ChaCha20-Poly1305. */
import koffi from 'koffi';
import { errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { type Libc, libc, type Pointer } from '../../net/libc.ts';
import type { Sip } from '../siphash.ts';

export interface Native extends Libc {
  /** Writes 16 bytes at `out`. */
  readonly siphash: (out: Pointer, from: Pointer, bytes: number, key: Pointer) => number;
  /** ChaCha20-Poly1305 detached; the tag goes to `tag`. */
  readonly aead: (
    cipher: Pointer,
    tag: Pointer,
    tagBytes: Pointer,
    text: Pointer,
    textBytes: number,
    ad: Pointer,
    adBytes: number,
    secret: Pointer,
    nonce: Pointer,
    key: Pointer,
  ) => number;
  /** The same hash on Buffers, for paths that are not hot. */
  readonly sip: Sip;
}

let loaded: Result<Native, Fault<'NativeUnavailable'>> | undefined;

/** Loads the libraries once a thread. libcrypto is not among them: without `{deep: true}` its symbols clash with Node's own and crash it. */
export function native(): Result<Native, Fault<'NativeUnavailable'>> {
  loaded ??= load();
  return loaded;
}

function load(): Result<Native, Fault<'NativeUnavailable'>> {
  const c = libc();
  if (!c.ok) return c;
  try {
    return ok({ ...c.value, ...bindings() });
  } catch (thrown) {
    return fail(
      'NativeUnavailable',
      `koffi cannot load libsodium.so.23 (Debian: libsodium23): ${errorMessage(thrown)}`,
    );
  }
}

function bindings(): Omit<Native, keyof Libc> {
  const sodium = koffi.load('libsodium.so.23');
  const siphashBuffers = sodium.func('int crypto_shorthash_siphashx24(void *out, void *in, uint64_t bytes, void *key)');
  return {
    siphash: sodium.func('int crypto_shorthash_siphashx24(uintptr_t, uintptr_t, uint64_t, uintptr_t)'),
    aead: sodium.func(
      'int crypto_aead_chacha20poly1305_ietf_encrypt_detached(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uint64_t, uintptr_t, uint64_t, uintptr_t, uintptr_t, uintptr_t)',
    ),
    sip: (key, bytes) => {
      const out = Buffer.alloc(16);
      siphashBuffers(out, bytes, bytes.length, key);
      return out;
    },
  };
}
