/** An image as another one: in another format, of another kind, or with all of its chain in it. */
import { ok, type Result } from '../kit/result.ts';
import { copyDisk, makeImage, type Work, type WorkFault } from './copy.ts';
import type { Disk, OpenFault } from './disk.ts';
import { openImage } from './images.ts';
import { type Unchanged, watchFiles } from './unchanged.ts';
import type { NewImage } from './writer.ts';

/** What was made of the disk. */
export interface Made {
  readonly diskBytes: number;
  /** How much less that is than what it is a difference of has; absent: none. */
  readonly lessBytes?: number;
}

export interface ConvertOptions extends Work, Pick<NewImage, 'fixed' | 'blockBytes'> {}

/** Makes `target` of the disk that `source` shows; its name says its format. */
export const convertImage = (
  source: string,
  target: string,
  { fixed, blockBytes, ...work }: ConvertOptions = {},
): Promise<Result<Made, WorkFault>> =>
  withImage(source, async (disk, unchanged) => {
    const { sizeBytes, blockSize } = disk;
    const image = { sizeBytes, blockSize, ...(fixed && { fixed }), ...(blockBytes !== undefined && { blockBytes }) };
    const made = await makeImage(target, image, { ...work, unchanged: [unchanged] }, (to) => copyDisk(disk, to, work));
    return made.ok ? ok({ diskBytes: sizeBytes }) : made;
  });

/** With an image that is closed afterwards; `unchanged` tells whether its files stayed as they were. */
export async function withImage<T, E>(
  path: string,
  use: (disk: Disk, unchanged: Unchanged) => Promise<Result<T, E>>,
): Promise<Result<T, E | OpenFault>> {
  const opened = await openImage(path);
  if (!opened.ok) return opened;
  try {
    return await use(opened.value, await watchFiles(path, opened.value));
  } finally {
    await opened.value.close();
  }
}
