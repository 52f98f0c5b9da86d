/** A disk with its leaf table, for servers under test. */
import { join } from 'node:path';
import type { Disk } from '../../src/image/disk.ts';
import { TableBuilder } from '../../src/image/tree/builder.ts';
import { PAGE_SPAN_BYTES } from '../../src/image/tree/layout.ts';
import { pieces } from '../../src/image/tree/pieces.ts';
import { LeafTable, type TableRef } from '../../src/image/tree/table.ts';
import { verified } from '../../src/image/tree/verified.ts';
import type { Result } from '../../src/kit/result.ts';

const must = <T>(result: Result<T, { readonly message: string }>): T => {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
};

/** The leaf table of all that the disk reads as, as a file in `folder`. */
export async function tableOf(disk: Disk, folder: string): Promise<TableRef> {
  const { sizeBytes } = disk;
  const path = join(folder, 'disk.leaves');
  const builder = await TableBuilder.begin(path, sizeBytes, must(pieces()));
  for (let at = 0; at < sizeBytes; at += PAGE_SPAN_BYTES)
    await builder.add(must(await disk.read(at, Math.min(PAGE_SPAN_BYTES, sizeBytes - at))));
  return { path, root: await builder.finish(path) };
}

export const withLeaves = async (disk: Disk, table: TableRef): Promise<Disk> =>
  verified(disk, must(await LeafTable.open(table, disk.sizeBytes)));
