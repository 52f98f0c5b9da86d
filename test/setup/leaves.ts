/** A disk with its leaf table, for servers under test. */
import { join } from 'node:path';
import type { Disk } from '../../src/image/disk.ts';
import { TableBuilder } from '../../src/image/tree/builder.ts';
import { type Below, fillTable } from '../../src/image/tree/fill.ts';
import { pieces } from '../../src/image/tree/pieces.ts';
import { LeafTable, type TableRef } from '../../src/image/tree/table.ts';
import { verified } from '../../src/image/tree/verified.ts';
import type { Result } from '../../src/kit/result.ts';

const must = <T>(result: Result<T, { readonly message: string }>): T => {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
};

/** The leaf table of all that the disk reads as, as a file in `folder`, made as a server does. */
export async function tableOf(disk: Disk, folder: string, below?: Below, name = 'disk'): Promise<TableRef> {
  const path = join(folder, `${name}.leaves`);
  const library = must(pieces());
  const builder = await TableBuilder.begin(path, disk.sizeBytes, library);
  must(await fillTable(disk, builder, library, below && { below }));
  return { path, root: await builder.finish(path) };
}

export const withLeaves = async (disk: Disk, table: TableRef): Promise<Disk> =>
  verified(disk, must(await LeafTable.open(table, disk.sizeBytes)));
