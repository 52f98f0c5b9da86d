/** Which sectors of a block an image has itself: a bit each. Pure. */

export interface Bitmap {
  readonly bits: Uint8Array;
  /** Of a byte, the highest bit is the first sector's (VHD), or the lowest (VHDX). */
  readonly highestFirst: boolean;
}

export function isSet({ bits, highestFirst }: Bitmap, sector: number): boolean {
  const bit = sector % 8;
  return (((bits[Math.floor(sector / 8)] ?? 0) >> (highestFirst ? 7 - bit : bit)) & 1) === 1;
}

/** The first sector from `sector` on, below `end`, whose bit is not `set`; else `end`. Whole bytes are passed by at once. */
export function endOfRun(bitmap: Bitmap, set: boolean, sector: number, end: number): number {
  const byte = set ? 0xff : 0;
  let at = sector;
  while (at < end) {
    if (at % 8 === 0 && bitmap.bits[at / 8] === byte) at += 8;
    else if (isSet(bitmap, at) === set) at++;
    else return at;
  }
  return end;
}

/** The bits of `many` sectors from `sector` on. Whole bytes are set at once. */
export function setBits(bits: Uint8Array, sector: number, many: number, highestFirst: boolean): void {
  const end = sector + many;
  for (let at = sector; at < end; ) {
    const byte = Math.floor(at / 8);
    if (at % 8 === 0 && end - at >= 8) {
      const whole = Math.floor(end / 8);
      bits.fill(0xff, byte, whole);
      at = whole * 8;
      continue;
    }
    bits[byte] = (bits[byte] ?? 0) | (1 << (highestFirst ? 7 - (at % 8) : at % 8));
    at++;
  }
}
