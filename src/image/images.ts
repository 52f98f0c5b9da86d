/** Images of a store by their names: what one says of itself, and opening it. What a format throws is that image's fault, and no other's. */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorMessage } from '../kit/errors.ts';
import { leadsTo, pathFault, statRegular } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { HEAD_BYTES, misnamed, TAIL_BYTES } from './content.ts';
import type { Description, Disk, Format, ImageFacts, OpenFault, OpenParent, ParentFacts } from './disk.ts';
import { lookAtFile } from './file.ts';
import { chainTooLong, FORMATS, formatOf, MAX_CHAIN } from './formats.ts';
import { type Candidate, findParent, parentNames } from './parent.ts';
import type { ImageWriter, NewImage, WriteFault } from './writer.ts';

/** Undefined: a file of that name is no image. */
export async function probeImage(
  path: string,
  fileBytes: number,
  formats = FORMATS,
): Promise<Result<ImageFacts, OpenFault> | undefined> {
  const format = formatOf(path, formats);
  return format && judged(path, format, format.probe(path, fileBytes));
}

export interface ImageOptions {
  readonly formats?: readonly Format[];
  /** Names that its parents are among: of what a look at the folder found right. Absent: any of the folder, but no link that leads out of it. */
  readonly parents?: ReadonlySet<string>;
}

/** Begins an image that has this name when it is finished, of the format that the name says. */
export async function createImage(
  path: string,
  image: NewImage,
  formats = FORMATS,
): Promise<Result<ImageWriter, WriteFault>> {
  const format = formatOf(path, formats);
  if (!format?.create)
    return fail(
      'NotSupported',
      `${path} is named as no image is that is written: ${ends(formats.filter(({ create }) => create))}`,
    );
  const isDifference = format.differencing !== undefined && path.endsWith(format.differencing);
  if (isDifference && !image.parent)
    return fail('NotSupported', `${path} is named as a difference of another image: end it with ${format.extension}`);
  return format.create(path, image);
}

const ends = (formats: readonly Format[]): string =>
  `end its name with ${formats.map(({ extension }) => extension).join(', ')}, as what it is`;

/** With what it is a difference of, from the same folder. `depth`: it is that image of a chain. */
export async function openImage(path: string, options: ImageOptions = {}, depth = 1): Promise<Result<Disk, OpenFault>> {
  if (depth > MAX_CHAIN) return { ok: false, error: chainTooLong(path) };
  const format = formatOf(path, options.formats);
  if (!format) return namedAsNone(path);
  return judged(path, format, format.open(path, parentOpener(path, options, depth)));
}

function parentOpener(path: string, options: ImageOptions, depth: number): OpenParent {
  return async (parent) => {
    const found = await parentPath(path, parent, options);
    return found.ok ? openImage(found.value, options, depth + 1) : found;
  };
}

/** Where the image lies that `path` says it is a difference of. */
export async function parentPath(
  path: string,
  parent: ParentFacts,
  { formats = FORMATS, parents }: ImageOptions = {},
): Promise<Result<string, OpenFault>> {
  const folder = dirname(path);
  let entries: readonly Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (thrown) {
    return { ok: false, error: pathFault(folder, thrown) };
  }
  const there = new Map(
    entries.filter(({ name }) => parents?.has(name) !== false).map((entry) => [entry.name, entry.isSymbolicLink()]),
  );
  const outside = new Map<string, OpenFault>();
  const candidates: Candidate[] = [];
  for (const name of parentNames(basename(path), parent, there, formats)) {
    const fault = parents || !there.get(name) ? undefined : await leadsOut(folder, name);
    if (fault) outside.set(name, fault);
    const image = fault ? { ok: false as const, error: fault } : await probeByName(join(folder, name), formats);
    candidates.push({ name, image });
  }
  const found = findParent(path, parent, candidates);
  if (found.kind === 'found') {
    const fault = outside.get(found.name);
    return fault ? { ok: false, error: fault } : ok(join(folder, found.name));
  }
  if (found.kind === 'wrong') return fail('ParentWrong', found.message);
  return fail('FileMissing', `${path} is a difference of ${found.name}, which is not in its folder: put it there`);
}

/** Who put the link there may read what it leads to, and who made the image may not. */
async function leadsOut(folder: string, name: string): Promise<OpenFault | undefined> {
  const path = join(folder, name);
  const [end, within] = [await leadsTo(path), await leadsTo(folder)];
  if (end.startsWith(within.endsWith('/') ? within : `${within}/`)) return undefined;
  return { code: 'LinkOutside', message: `${path} leads to ${end}, out of its folder: put the file itself there` };
}

/** All that the image says of itself. */
export async function describeImage(path: string, formats = FORMATS): Promise<Result<Description, OpenFault>> {
  const format = formatOf(path, formats);
  if (!format) return namedAsNone(path);
  if (format.describe) return judged(path, format, format.describe(path));
  const facts = await probeByName(path, formats);
  if (facts === undefined) return namedAsNone(path);
  return facts.ok ? ok({ facts: facts.value, odd: [] }) : facts;
}

async function namedAsNone(path: string): Promise<Result<never, OpenFault>> {
  return fail('NotSupported', (await whatIsIn(path, [])) ?? `${path} is named as no image is: ${ends(FORMATS)}`);
}

/** What is no image of the format that its name says is said to be what it is. */
async function judged<T>(
  path: string,
  { extension, differencing, plain }: Format,
  judging: Promise<Result<T, OpenFault>>,
): Promise<Result<T, OpenFault>> {
  const judged = await judging.catch(unforeseen(path));
  if (judged.ok || judged.error.code !== 'ImageInvalid' || plain) return judged;
  const message = await whatIsIn(path, [extension, differencing ?? extension]);
  return message === undefined ? judged : fail('NotSupported', message);
}

/** `own`: the ends of names of what it is by its name. Undefined: that, or nothing says. */
async function whatIsIn(path: string, own: readonly string[]): Promise<string | undefined> {
  const found = await lookAtFile(path, async (file) => {
    const ends = await file.ends(HEAD_BYTES, TAIL_BYTES);
    return ends.ok ? ok(misnamed(path, ends.value, own)) : ends;
  });
  return found.ok ? found.value : undefined;
}

async function probeByName(path: string, formats: readonly Format[]): Promise<Candidate['image']> {
  const looked = await statRegular(path);
  return looked.ok ? probeImage(path, Number(looked.value.size), formats) : looked;
}

const unforeseen = (path: string) => (thrown: unknown) => fail('FileUnreadable', `${path}: ${errorMessage(thrown)}`);
