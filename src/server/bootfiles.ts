/** The boot files that TFTP gives: a fixed table, so that no name is ever a path. Debian's package `ipxe` brings them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { TftpFile } from '../tftp/transfer.ts';

const FOLDER = process.env['BOOTFARM_BOOT_FILES'] ?? '/usr/lib/ipxe';
const NAMES = ['undionly.kpxe', 'snponly.efi'];

/** Read once: each is a few hundred KiB. The same object each time, as TFTP keeps its netascii by it. */
const loaded = new Map<string, TftpFile>();

export const bootFileNames = (): readonly string[] => NAMES;

export function bootFile(name: string): Result<TftpFile, Fault> {
  const known = NAMES.find((found) => found === name);
  if (!known) return fail('FileUnknown', `${name} is no boot file: there are ${NAMES.join(', ')}`);
  try {
    const file = loaded.get(known) ?? inMemory(readFileSync(join(FOLDER, known)));
    loaded.set(known, file);
    return ok(file);
  } catch {
    return fail('FileUnreadable', `${join(FOLDER, known)} cannot be read: the image needs the Debian package ipxe`);
  }
}

const inMemory = (bytes: Buffer): TftpFile => ({
  sizeBytes: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
});
