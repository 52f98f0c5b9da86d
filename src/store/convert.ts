/** An image of a store in another format: what it is named, and which of several is meant afterwards. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type ConvertOptions, convertImage } from '../image/convert.ts';
import type { WorkFault } from '../image/copy.ts';
import { FORMATS, formatOf, imageNames, stemOf } from '../image/formats.ts';
import { fail, ok, type Result } from '../kit/result.ts';

export interface ConvertFileOptions extends ConvertOptions {
  /** `vhdx`, `vhd`, `raw`; absent: as the target is named, or VHDX where its name says none. */
  readonly format?: string;
}

export interface Converted {
  readonly path: string;
  readonly diskBytes: number;
  /** Of the image, with its holes. */
  readonly fileBytes: number;
  /** An image beside it that has its name but for the end, and is meant before it. */
  readonly meant?: string;
}

export const WRITTEN: readonly string[] = FORMATS.flatMap(({ extension, create }) =>
  create ? [extension.slice(1)] : [],
);

export async function convertFile(
  source: string,
  target: string,
  { format, ...options }: ConvertFileOptions = {},
): Promise<Result<Converted, WorkFault>> {
  const path = targetOf(target, format);
  if (!path.ok) return path;
  const made = await convertImage(source, path.value, options);
  if (!made.ok) return made;
  const meant = meantBefore(basename(path.value), await readdir(dirname(path.value)));
  const { size } = await stat(path.value);
  return ok({ path: path.value, ...made.value, fileBytes: size, ...(meant !== undefined && { meant }) });
}

/** Its name says the format of an image: so the end is added where there is none, and must be the right one where there is. */
export function targetOf(target: string, format: string | undefined): Result<string, WorkFault> {
  const own = formatOf(target);
  if (!own) return ok(`${target}.${format ?? 'vhdx'}`);
  if (format === undefined || own.extension === `.${format}`) return ok(target);
  return fail(
    'NotSupported',
    `${target} is named as another format than ${format}: end it with .${format}, or leave the end out`,
  );
}

function meantBefore(name: string, there: readonly string[]): string | undefined {
  const names = imageNames(stemOf(name) ?? name, true);
  return names.slice(0, names.indexOf(name)).find((other) => there.includes(other));
}
