/**
 * A disk for tests whose content says its own offset: the eight bytes at each multiple of 8 are `seed (2) │ offset / 8 (6)`, big-endian. So any
 * block that lands in a wrong place, and any block of another disk, is seen at once and says where it came from.
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import { beyondEnd, type Disk, type ReadFault } from '../disk.ts';

export interface Pattern {
  readonly sizeBytes: number;
  /** 0 to 65,535: tells disks apart. */
  readonly seed?: number;
  readonly blockSize?: 512 | 4096;
}

export function patternDisk({ sizeBytes, seed = 0, blockSize = 512 }: Pattern): Disk {
  let closed = false;
  return {
    sizeBytes,
    blockSize,
    read: async (offset: number, length: number): Promise<Result<Buffer, ReadFault>> => {
      const beyond = beyondEnd({ sizeBytes }, offset, length);
      if (beyond) return { ok: false, error: beyond };
      return closed ? fail('DiskClosed', 'the pattern disk is closed') : ok(patternBytes(offset, length, seed));
    },
    close: async () => {
      closed = true;
    },
  };
}

/** What a pattern disk holds there; also makes the content of test files. */
export function patternBytes(offset: number, length: number, seed = 0): Buffer {
  const first = Math.floor(offset / 8);
  const words = Math.ceil((offset + length) / 8) - first;
  const bytes = Buffer.allocUnsafe(words * 8);
  for (let word = 0; word < words; word++) {
    const value = first + word;
    bytes.writeUInt16BE(seed, word * 8);
    bytes.writeUIntBE(value, word * 8 + 2, 6);
  }
  const cut = offset - first * 8;
  return bytes.subarray(cut, cut + length);
}

/** The first byte (as a disk offset) that is not the pattern's, or undefined when all are. */
export function patternMismatch(bytes: Uint8Array, offset: number, seed = 0): number | undefined {
  const wanted = patternBytes(offset, bytes.length, seed);
  if (wanted.equals(bytes)) return undefined;
  return offset + wanted.findIndex((byte, index) => byte !== bytes[index]);
}
