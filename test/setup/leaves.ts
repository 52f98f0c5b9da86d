/** A disk with its leaf table, for servers under test. */
import { join } from 'node:path';
import type { Disk } from '../../src/image/disk.ts';
import { TableBuilder } from '../../src/image/tree/builder.ts';
import { pieces } from '../../src/image/tree/pieces.ts';
import { LeafTable, type TableRef } from '../../src/image/tree/table.ts';
import { verified } from '../../src/image/tree/verified.ts';
import type { Result } from '../../src/kit/result.ts';

/** As a server reads an image that it digests. */
const CHUNK_BYTES = 1 << 20;

const must = <T>(result: Result<T, { readonly message: string }>): T => {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
};

/** The leaf table of all that the disk reads as, as a file in `folder`. */
export async function tableOf(disk: Disk, folder: string): Promise<TableRef> {
  const { sizeBytes } = disk;
  const path = join(folder, 'disk.leaves');
  const builder = await TableBuilder.begin(path, sizeBytes, must(pieces()));
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, sizeBytes - at);
    const fault = await disk.readInto?.(chunk, 0, length, at);
    if (fault) throw new Error(fault.message);
    await builder.add(disk.readInto ? chunk.subarray(0, length) : must(await disk.read(at, length)));
  }
  return { path, root: await builder.finish(path) };
}

export const withLeaves = async (disk: Disk, table: TableRef): Promise<Disk> =>
  verified(disk, must(await LeafTable.open(table, disk.sizeBytes)));
