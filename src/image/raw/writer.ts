/** A raw image as it is written: the disk, with holes where it has zeros. */
import { fail, ok, type Result } from '../../kit/result.ts';
import { PartialFile } from '../partial.ts';
import { PlainWriter } from '../plain-writer.ts';
import type { ImageWriter, NewImage, WriteFault } from '../writer.ts';

export async function createRaw(path: string, image: NewImage): Promise<Result<ImageWriter, WriteFault>> {
  if (image.parent)
    return fail(
      'NotSupported',
      `${path}: a raw image is no difference of another: convert the one below to VHDX first`,
    );
  if (image.blockSize !== 512)
    return fail(
      'NotSupported',
      `${path}: the disk has sectors of ${image.blockSize} bytes, and a raw image cannot say so: write a VHDX`,
    );
  if (image.blockBytes !== undefined)
    return fail('NotSupported', `${path}: a raw image lies in no blocks: leave their size (--block-size) out`);
  const file = await PartialFile.open(path);
  if (!file.ok) return file;
  return ok(new PlainWriter(file.value, 0, () => file.value.finish(image.sizeBytes)));
}
