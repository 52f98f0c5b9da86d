/** Images of a store by their names: what one says of itself, and opening it. What a format throws is that image's fault, and no other's. */
import { basename, dirname, join } from 'node:path';
import { errorMessage } from '../kit/errors.ts';
import { fail, type Result } from '../kit/result.ts';
import type { Disk, ImageFacts, OpenFault } from './disk.ts';
import { chainTooLong, FORMATS, formatOf, MAX_CHAIN } from './formats.ts';

/** Undefined: a file of that name is no image. */
export async function probeImage(
  path: string,
  fileBytes: number,
  formats = FORMATS,
): Promise<Result<ImageFacts, OpenFault> | undefined> {
  return formatOf(path, formats)?.probe(path, fileBytes).catch(unforeseen(path));
}

/** With what it is a difference of, from the same folder. `depth`: it is that image of a chain. */
export async function openImage(path: string, formats = FORMATS, depth = 1): Promise<Result<Disk, OpenFault>> {
  if (depth > MAX_CHAIN) return { ok: false, error: chainTooLong(path) };
  const format = formatOf(path, formats);
  if (!format) return fail('NotSupported', `${path} is named as no image is`);
  const openParent = async (parent: string) =>
    parent === basename(parent)
      ? openImage(join(dirname(path), parent), formats, depth + 1)
      : fail('FileMissing', `${path} is a difference of ${parent}, which is not in its folder`);
  return format.open(path, openParent).catch(unforeseen(path));
}

const unforeseen = (path: string) => (thrown: unknown) => fail('FileUnreadable', `${path}: ${errorMessage(thrown)}`);
