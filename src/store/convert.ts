/** An image of a store in another format: what it is named, and which of several is meant afterwards. */
import { stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { type ConvertOptions, convertImage } from '../image/convert.ts';
import type { WorkFault } from '../image/copy.ts';
import { FOREIGN_FORMATS } from '../image/foreign.ts';
import { FORMATS, formatOf, stemOf } from '../image/formats.ts';
import { PARTIAL } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import { isForeignName } from './arrived.ts';
import { besidePath } from './beside.ts';
import { tooLong } from './longest.ts';
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
  const path = own ? target : `${target}.${format ?? 'vhdx'}`;
  const wrong = tooLong(path, `${PARTIAL}.raw`) ?? (own ? undefined : wrongEnd(target));
  if (wrong) return { ok: false, error: wrong };
  if (!own || format === undefined || own.extension === `.${format}`) return ok(path);
  return fail(
    'NotSupported',
    `${target} is named as another format than ${format}: end it with .${format}, or leave the end out`,
  );
}

/** Ends of images of other programs. */
const OTHERS: ReadonlySet<string> = new Set(
  ['img', 'bin', 'dd', 'iso', 'qcow', 'qed', 'hdd', 'ova', 'ovf', 'wim', ...FOREIGN_FORMATS].map((end) => `.${end}`),
);

/** Of what is named as another image, or nearly as one of ours. What has any other end gets that of an image behind it. */
function wrongEnd(target: string): WorkFault | undefined {
  const end = extname(target).toLowerCase();
  const ends = FORMATS.flatMap(({ extension, differencing }) => [extension, differencing ?? extension]);
  const meant = end.length > 1 ? ends.find((one) => isNearly(end, one)) : undefined;
  const way = `end it with ${FORMATS.map(({ extension }) => extension).join(', ')}, or leave the end out`;
  const format = FOREIGN_FORMATS.find((one) => end === `.${one}`);
  const why =
    format !== undefined
      ? `is named as an image that is made for other programs alone: ${way}; \`bootfarm vdisk download NAME --format ${format}\` gives one`
      : OTHERS.has(end)
        ? `is named as another kind of image: ${way}`
        : meant !== undefined && `: did you mean ${meant}? ${way[0]?.toUpperCase()}${way.slice(1)}`;
  return why ? { code: 'NotSupported', message: why.startsWith(':') ? target + why : `${target} ${why}` } : undefined;
}

/** Or the same: at most one letter is another, too many or too few, or two have each other's place. */
function isNearly(typed: string, meant: string): boolean {
  if (typed === meant) return true;
  const [short, long] = typed.length < meant.length ? [typed, meant] : [meant, typed];
  const at = [...long].findIndex((letter, index) => short[index] !== letter);
  if (long.length > short.length) return long.slice(at + 1) === short.slice(at);
  const isSwapped = short[at] === long[at + 1] && short[at + 1] === long[at];
  return short.slice(at + (isSwapped ? 2 : 1)) === long.slice(at + (isSwapped ? 2 : 1));
}

/** The end of an image, or of one that can be imported, comes from the address where the target has none; undefined: neither has one. */
export function targetOfUrl(target: string, url: string): string | undefined {
  if (stemOf(target) !== undefined || isForeignName(target)) return target;
  const name = URL.parse(url)?.pathname ?? '';
  if (isForeignName(name)) return target + extname(name);
  const stem = stemOf(name);
  return stem === undefined ? undefined : target + name.slice(stem.length);
}
