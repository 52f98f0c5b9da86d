/** CRC-32C (Castagnoli), of which the structures of a VHDX have one each: RFC 3720 B.4 has test vectors. Node's `zlib.crc32` has another polynomial. */

const POLYNOMIAL = 0x82f63b78;
/** Four tables, so that four bytes are taken at once: 1 MiB in 2 ms, a third of what one table takes. */
const TABLES = tables();

function tables(): readonly Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    return crc;
  });
  const all = [first];
  for (let index = 1; index < 4; index++)
    all.push(all[index - 1]?.map((crc) => (crc >>> 8) ^ (first[crc & 255] ?? 0)) ?? first);
  return all;
}

/** Of `bytes`, the four from `at` on being taken for zeros, as where the sum itself lies. */
export function checksumOf(bytes: Buffer, at: number): number {
  const crc = crc32c(bytes.subarray(0, at));
  return crc32c(bytes.subarray(at + 4), crc32c(Buffer.alloc(4), crc));
}

/** Writes the sum to where it lies. */
export function sum(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt32LE(checksumOf(bytes, at), at);
  return bytes;
}

/** `before`: of the bytes before these. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const [one, two, three, four] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let crc = ~before;
  let at = 0;
  for (const end = bytes.length - 3; at < end; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (four[crc & 255] as number) ^
      (three[(crc >>> 8) & 255] as number) ^
      (two[(crc >>> 16) & 255] as number) ^
      (one[crc >>> 24] as number);
  }
  for (; at < bytes.length; at++) crc = (one[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
