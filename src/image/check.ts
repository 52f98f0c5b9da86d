/** Whether an image and all that it is a difference of are whole: every table and every bitmap is read, and what lies in the files is added up. */
import { fail, ok, type Result } from '../kit/result.ts';
import type { Layout, OpenFault } from './disk.ts';
import { type DescribedImage, describeChain } from './facts.ts';
import { openImage } from './images.ts';
import { allPieces } from './map.ts';
import { type Area, overlap } from './overlap.ts';

export interface CheckedImage {
  readonly path: string;
  readonly blocks?: Layout['blocks'];
  /** Of the file, that nothing leads to, in pieces as large as a block at least. */
  readonly leakedBytes: number;
  readonly odd: readonly string[];
}

/** A fault: the image cannot be served. */
export async function checkChain(path: string): Promise<Result<readonly CheckedImage[], OpenFault>> {
  const chain = await describeChain(path);
  if (!chain.ok) return chain;
  const { images, missing } = chain.value;
  if (missing) return { ok: false, error: missing };
  for (const { path, description } of images) {
    const wrong = description.layout && overlapOf(description.layout);
    if (wrong !== undefined) return fail('ImageInvalid', `${path}: ${wrong}: it is damaged; copy it again`);
  }
  const unread = await readTables(path);
  return unread ? { ok: false, error: unread } : ok(images.map(checked));
}

const checked = ({ path, description: { layout, odd } }: DescribedImage): CheckedImage => ({
  path,
  ...(layout ? { blocks: layout.blocks } : {}),
  leakedBytes: layout ? leakedBytes(layout) : 0,
  odd,
});

/** Opening proves the parents, and the map of all of it asks for each bitmap. */
async function readTables(path: string): Promise<OpenFault | undefined> {
  const opened = await openImage(path);
  if (!opened.ok) return opened.error;
  const disk = opened.value;
  try {
    for await (const pieces of allPieces(disk)) if (!pieces.ok) return pieces.error;
    return undefined;
  } finally {
    await disk.close();
  }
}

const SECTOR = 512;

/** Also of what is only a hint, as a locator is, and so keeps no image from being read. */
function overlapOf({ slots, slotBytes, areas, fileBytes }: Layout): string | undefined {
  const inSectors = areas.map(({ what, start, end }) => ({
    what,
    start: Math.floor(start / SECTOR),
    end: Math.ceil(Math.min(end, fileBytes) / SECTOR),
  }));
  const starts = Uint32Array.from(slots, (at) => at / SECTOR);
  return overlap(starts, Math.ceil(slotBytes / SECTOR), inSectors, SECTOR);
}

/**
 * Writers align blocks, to a page or to a MiB: what is smaller than a block could have held none. Where blocks begin is theirs, too: qemu leaves 4 MiB before
 * the first, and in an image of fixed size as much as the disk has.
 */
function leakedBytes({ slots, reserved, slotBytes, areas, fileBytes }: Layout): number {
  const blocks = [...slots, ...reserved].map((start): Omit<Area, 'what'> => ({ start, end: start + slotBytes }));
  const used = [...areas, ...blocks].filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start);
  let end = blocks.reduce((first, { start }) => Math.min(first, start), fileBytes);
  let leaked = 0;
  for (const next of [...used, { start: fileBytes, end: fileBytes }]) {
    if (next.start - end >= slotBytes) leaked += next.start - end;
    end = Math.max(end, next.end);
  }
  return leaked;
}
