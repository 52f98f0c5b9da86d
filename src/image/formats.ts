/**
 * The formats of images: the one table. A format is a folder beside this file and a line in it; `store` asks it, and nobody else.
 *
 * Names are those of PVS: `lab.vhdx` is a base, `lab.3.avhdx` a difference, `lab.4.vhdx` a base again, merged.
 */
import type { Format, OpenFault } from './disk.ts';
import { raw } from './raw/raw.ts';
import { vhd } from './vhd/vhd.ts';
import { vhdx } from './vhdx/vhdx.ts';

/** Where several images have one name but for its end, the first is meant. */
export const FORMATS: readonly Format[] = [raw, vhdx, vhd];

/** Images of which each is a difference of the next. */
export const MAX_CHAIN = 50;

export const chainTooLong = (path: string): OpenFault => ({
  code: 'ChainTooLong',
  message: `${path} is the last of more than ${MAX_CHAIN} images, each a difference of the next: merge them, or, where they lead in a circle, put there those with which they were made`,
});

/** Undefined: a file of that name is no image. */
export const formatOf = (name: string, formats = FORMATS): Format | undefined =>
  formats.find(
    ({ extension, differencing }) =>
      name.endsWith(extension) || (differencing !== undefined && name.endsWith(differencing)),
  );

/** A name without the end by which it is an image. Undefined: it is none. */
export function stemOf(name: string, formats = FORMATS): string | undefined {
  const format = formatOf(name, formats);
  const end = [format?.extension, format?.differencing].find((end) => end !== undefined && name.endsWith(end));
  return end === undefined ? undefined : name.slice(0, -end.length);
}

/** What the image may be called that is `stem` without its end, in order of preference. `later`: it is not the first version. */
export const imageNames = (stem: string, later: boolean, formats = FORMATS): readonly string[] =>
  formats
    .flatMap(({ extension, differencing }) => (later && differencing ? [differencing, extension] : [extension]))
    .map((end) => stem + end);
