/**
 * ChaCha20-Poly1305 (RFC 8439) of associated data and no text: the tag of an answer. By Node's own OpenSSL, whose symbols its program exports, 4.0 µs
 * at 32 KiB and 1.4 at 4; by libsodium 10.1 and 1.5 where a build of Node hides them. (libcrypto.so is not loaded: its symbols clash with Node's own and crash it.)
 */
import koffi, { type LibraryHandle } from 'koffi';
import { alignedSlab, type Libc, type Pointer } from '../../net/libc.ts';
import { TAG_BYTES } from '../wire.ts';

/** Writes the tag, 16 bytes. The nonce has 12, the key 32. */
export type AeadTag = (tag: Pointer, ad: Pointer, adBytes: number, nonce: Pointer, key: Pointer) => void;

const EVP_CTRL_AEAD_GET_TAG = 0x10;

/** What is written and nobody reads. Kept as long as the thread: native code has its address. */
const unused: Buffer[] = [];
function unusedBytes(libc: Libc): Pointer {
  const bytes = alignedSlab(libc, 128);
  unused.push(bytes);
  return libc.addressOf(bytes);
}

/** With a context of its own, so for one thread. Throws where this Node does not export what it takes. */
export function opensslTag(libc: Libc): AeadTag {
  const node = koffi.load(null);
  const make = node.func('uintptr_t EVP_CIPHER_CTX_new()');
  const cipher = node.func('uintptr_t EVP_chacha20_poly1305()');
  const init = node.func('int EVP_EncryptInit_ex(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t)');
  const update = node.func('int EVP_EncryptUpdate(uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)');
  const final = node.func('int EVP_EncryptFinal_ex(uintptr_t, uintptr_t, uintptr_t)');
  const control = node.func('int EVP_CIPHER_CTX_ctrl(uintptr_t, int, int, uintptr_t)');
  const context = make();
  const none = unusedBytes(libc);
  const length = none + 32;
  if (init(context, cipher(), 0, 0, 0) !== 1) throw new Error('OpenSSL has no ChaCha20-Poly1305');
  return (tag, ad, adBytes, nonce, key) => {
    const done =
      init(context, 0, 0, key, nonce) &
      update(context, 0, length, ad, adBytes) &
      final(context, none, length) &
      control(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag);
    if (done !== 1) throw new Error('OpenSSL made no tag');
  };
}

/** `sodium`: loaded and initialised. */
export function sodiumTag(libc: Libc, sodium: LibraryHandle): AeadTag {
  const seal = sodium.func(
    'int crypto_aead_chacha20poly1305_ietf_encrypt_detached(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uint64_t, uintptr_t, uint64_t, uintptr_t, uintptr_t, uintptr_t)',
  );
  const none = unusedBytes(libc);
  return (tag, ad, adBytes, nonce, key) => void seal(none, tag, 0, 0, 0, ad, adBytes, 0, nonce, key);
}
