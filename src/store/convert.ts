/** An image of a store in another format: what it is named, and which of several is meant afterwards. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type ConvertOptions, convertImage } from '../image/convert.ts';
import type { WorkFault } from '../image/copy.ts';
import { FORMATS, formatOf, stemOf } from '../image/formats.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import { besidePath } from './beside.ts';
import { roomForDisk } from './room.ts';

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

export type ConvertFault = WorkFault | Fault<'NoSpace'>;

export async function convertFile(
  source: string,
  target: string,
  { format, ...options }: ConvertFileOptions = {},
): Promise<Result<Converted, ConvertFault>> {
  const path = targetOf(target, format);
  return path.ok ? alone(dirname(path.value), () => convertInFolder(source, path.value, options)) : path;
}

/** Whose folder is held already. */
export async function convertInFolder(
  source: string,
  target: string,
  options: ConvertOptions,
): Promise<Result<Converted, ConvertFault>> {
  const room = await roomForDisk(source, target);
  if (!room.ok) return room;
  const made = await convertImage(source, target, options);
  if (!made.ok) return made;
  const { before } = await besidePath(target);
  const { size } = await stat(target);
  return ok({ path: target, ...made.value, fileBytes: size, ...(before !== undefined && { meant: before }) });
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

/** The end of an image comes from the address where the target has none; undefined: neither has one. */
export function targetOfUrl(target: string, url: string): string | undefined {
  if (stemOf(target) !== undefined) return target;
  const name = URL.parse(url)?.pathname ?? '';
  const stem = stemOf(name);
  return stem === undefined ? undefined : target + name.slice(stem.length);
}
