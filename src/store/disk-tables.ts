/** The leaf table of a disk that lies in images of any format: made of what they say, with the table of what they are a difference of, where there is one. */
import { join } from 'node:path';
import type { Disk } from '../image/disk.ts';
import { sameFile } from '../image/identity.ts';
import { openImage } from '../image/images.ts';
import { type Below, fillTable } from '../image/tree/fill.ts';
import { pieces } from '../image/tree/pieces.ts';
import { LeafTable } from '../image/tree/table.ts';
import { answered, type ChainImage, type Tables, tableKey } from './tables.ts';

/** The image first. `goOn`: after each step, with the bytes that were read. The root; undefined: there is no table, and why was told. */
export async function makeDiskTable(
  tables: Tables,
  folder: string,
  images: readonly ChainImage[],
  goOn: (readBytes: number) => Promise<boolean>,
): Promise<string | undefined> {
  try {
    return await make(tables, folder, images, goOn);
  } catch (thrown) {
    tables.failed(thrown);
    return undefined;
  }
}

async function make(
  tables: Tables,
  folder: string,
  images: readonly ChainImage[],
  goOn: (readBytes: number) => Promise<boolean>,
): Promise<string | undefined> {
  const [image] = images;
  const library = pieces();
  if (!image || !library.ok) return undefined;
  const opened = await openImage(join(folder, image.name), { parents: new Set(images.map(({ name }) => name)) });
  if (!opened.ok) throw new Error(opened.error.message);
  const disk = opened.value;
  const making = await tables.begin(disk.sizeBytes);
  const below = await belowOf(tables, images);
  try {
    if (!making || !(await lies(disk, images))) return undefined;
    const options = { ...(below && { below }), goOn: async (read: number) => !making.isLost && goOn(read) };
    const filled = await fillTable(disk, making, library.value, options);
    if (!filled.ok) throw new Error(filled.error.message);
    // What was read is what was digested only if it lay there until the last byte.
    if (!filled.value || !(await lies(disk, images))) return undefined;
    return await making.finish(tableKey(images));
  } finally {
    await Promise.all([making?.abandon(), below?.table.close(), disk.close()]);
  }
}

/** Of the images below, the most that have a table together. */
async function belowOf(
  tables: Tables,
  images: readonly ChainImage[],
): Promise<(Below & { table: Closing }) | undefined> {
  for (let depth = 1; depth < images.length; depth++) {
    const ref = tables.refOf(tableKey(images.slice(depth)));
    const sizeBytes = images[depth]?.diskBytes ?? 0;
    if (!ref) continue;
    const opening = LeafTable.open(ref, sizeBytes);
    const opened = await answered(opening).catch(() => undefined);
    // One that comes late is let go of.
    if (!opened) void opening.then((late) => (late.ok ? late.value.close() : undefined));
    if (!opened?.ok) continue;
    const table = opened.value;
    const page = (index: number) => answered(table.page(index)).catch(() => undefined);
    return { depth, sizeBytes, table: { page, close: () => table.close() } };
  }
  return undefined;
}

type Closing = Below['table'] & Pick<LeafTable, 'close'>;

/** Is the disk the one that these images are? */
async function lies(disk: Disk, images: readonly ChainImage[]): Promise<boolean> {
  const files = (await disk.files?.()) ?? [];
  return (
    files.length === images.length &&
    files.every(({ name, identity }, index) => {
      const image = images[index];
      return image?.name === name && sameFile(image.identity, identity);
    })
  );
}
