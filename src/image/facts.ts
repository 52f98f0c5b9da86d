/** An image and all that it is a difference of, as they say of themselves: for people who look at it. */
import type { BigIntStats } from 'node:fs';
import { statRegular } from '../kit/file.ts';
import { ok, type Result } from '../kit/result.ts';
import type { Description, OpenFault } from './disk.ts';
import { chainTooLong, formatOf, MAX_CHAIN } from './formats.ts';
import { describeImage, parentPath } from './images.ts';

export interface DescribedImage {
  readonly path: string;
  /** As its name ends: `vhdx`. */
  readonly format: string;
  readonly fileBytes: number;
  /** Of the file, less what it has as holes. */
  readonly usedBytes: number;
  readonly description: Description;
}

export interface DescribedChain {
  /** The image first, then what it is a difference of, in turn. */
  readonly images: readonly DescribedImage[];
  /** Why what the last one is a difference of is not among them. */
  readonly missing?: OpenFault;
}

/** A parent that lacks leaves what is known of its children. */
export async function describeChain(path: string): Promise<Result<DescribedChain, OpenFault>> {
  const first = await describe(path);
  if (!first.ok) return first;
  const images = [first.value];
  for (let last = first.value; last.description.facts.parent; ) {
    const next = images.length < MAX_CHAIN ? await parentOf(last) : { ok: false as const, error: chainTooLong(path) };
    if (!next.ok) return ok({ images, missing: next.error });
    last = next.value;
    images.push(last);
  }
  return ok({ images });
}

async function parentOf({ path, description }: DescribedImage): Promise<Result<DescribedImage, OpenFault>> {
  const found = await parentPath(path, description.facts.parent ?? { names: [] });
  return found.ok ? describe(found.value) : found;
}

async function describe(path: string): Promise<Result<DescribedImage, OpenFault>> {
  const stats = await statRegular(path);
  if (!stats.ok) return stats;
  const description = await describeImage(path);
  return description.ok ? ok(described(path, stats.value, description.value)) : description;
}

/** stat(2): blocks are of 512 bytes, whatever those of the file system are. */
const described = (path: string, { size, blocks }: BigIntStats, description: Description): DescribedImage => ({
  path,
  format: formatOf(path)?.extension.slice(1) ?? '',
  fileBytes: Number(size),
  usedBytes: Number(blocks) * 512,
  description,
});
