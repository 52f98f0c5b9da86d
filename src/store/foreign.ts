/** A disk of ours as an image of another program: qemu-img makes it of a raw image, which is made first where the disk lies in none, and goes. */
import { open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Work } from '../image/copy.ts';
import { asOneFile, type ForeignFormat } from '../image/foreign.ts';
import { formatOf } from '../image/formats.ts';
import { errorMessage } from '../kit/errors.ts';
import { PARTIAL } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import { type ConvertFault, convertInFolder } from './convert.ts';
import { qemuImg } from './qemu.ts';
import { dataBytes, roomFor } from './room.ts';
import type { ToolFault } from './tool.ts';

/** `target` is there when it is whole. What an earlier try left is made anew. */
export const makeForeign = (
  source: string,
  target: string,
  format: ForeignFormat,
  work: Pick<Work, 'signal' | 'onProgress'>,
): Promise<Result<undefined, ConvertFault | ToolFault>> =>
  alone(dirname(target), () => makeAlone(source, target, format, work));

async function makeAlone(
  source: string,
  target: string,
  format: ForeignFormat,
  { signal, onProgress }: Pick<Work, 'signal' | 'onProgress'>,
): Promise<Result<undefined, ConvertFault | ToolFault>> {
  const data = await dataBytes(source);
  if (!data.ok) return data;
  const isRaw = formatOf(source)?.plain === true;
  const room = await roomFor(dirname(target), target, (isRaw ? 1 : 2) * data.value);
  if (!room.ok) return room;
  const [raw, partial] = [isRaw ? source : `${target}.raw`, target + PARTIAL];
  try {
    if (!isRaw) {
      await unlink(raw).catch(() => undefined); // no earlier try left one
      const told = (done: number, total: number): void => onProgress?.(done, 2 * total);
      const converted = await convertInFolder(source, raw, { ...(signal && { signal }), onProgress: told });
      if (!converted.ok) return converted;
    }
    const { size } = await stat(raw);
    const before = isRaw ? 0 : size;
    const told = (percent: number): void => onProgress?.(before + (percent / 100) * size, before + size);
    const words = ['convert', '-p', '-O', format, '-t', 'none', '-T', 'none', asOneFile(resolve(raw), 'raw')];
    const made = await qemuImg([0], signal, [...words, resolve(partial)], told);
    if (!made.ok) return made;
    await onDisk(partial);
    await rename(partial, target);
    return ok(undefined);
  } catch (thrown) {
    return fail('WriteFailed', `${target} cannot be made: ${errorMessage(thrown)}`);
  } finally {
    for (const path of isRaw ? [partial] : [partial, raw]) await unlink(path).catch(() => undefined); // it was not made
  }
}

async function onDisk(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
