/**
 * Whose a store's folder is: a file in it names the farm whose servers write there. Another farm may read, where what it wants is right by its content, and
 * writes nothing and takes nothing away: each would put aside what the other brought. Its token tells that two servers see one folder.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Read } from '../farm/model.ts';
import { errorCode } from '../kit/errors.ts';
import { openRegular, PARTIAL } from '../kit/file.ts';

/** Of a farm: its name is for people, the lineage of its keys says which it is. */
const Owner = Type.Object({
  farm: Type.String({ minLength: 1, maxLength: 253 }),
  lineage: Type.String({ pattern: '^[0-9a-f]{16}$' }),
});
export type Owner = Read<Static<typeof Owner>>;

const Mark = Type.Intersect([Owner, Type.Object({ token: Type.String({ pattern: '^[0-9a-f-]{36}$' }) })]);
export type Mark = Read<Static<typeof Mark>>;

export const MARK = '.bootfarm-farm.json';
const MAX_BYTES = 4_096;

/** In the folder of wants: whom the container `work` writes for. */
export const OWNER_FILE = 'wants/farm.json';

/** Undefined: it is none. */
function parse<T extends TSchema>(schema: T, text: string): Static<T> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(schema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
export const parseOwner = (text: string): Owner | undefined => parse(Owner, text);

export interface SeenMark extends Mark {
  /** Its inode: a folder that was copied has another, and one that two servers mount has one. */
  readonly inode: string;
}

/** Undefined: there is none that can be read; a file of a person by that name is none. */
export async function readMark(folder: string): Promise<SeenMark | undefined> {
  const opened = await openRegular(join(folder, MARK), constants.O_NOFOLLOW);
  if (!opened.ok) return undefined;
  await using file = opened.value.file;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
  const mark = parse(Mark, buffer.toString('utf8', 0, bytesRead));
  return mark && { ...mark, inode: String(opened.value.stats.ino) };
}

/** Why this farm writes nothing there; undefined: it is its own, or nobody's yet. */
export function foreignness(folder: string, mark: Mark | undefined, own: Owner): string | undefined {
  if (!mark || mark.lineage === own.lineage) return undefined;
  return (
    `${folder} is kept by farm ${mark.farm} (lineage ${mark.lineage}), and this is farm ${own.farm} (lineage ${own.lineage}): what is right there is served, and nothing is copied into it. ` +
    `Give the Store another folder; or, where the other farm is no more, remove ${join(folder, MARK)}`
  );
}

/** Makes it this farm's where it is nobody's. Why nothing may be written there, or undefined. Rejects where the file system does. */
export async function claim(folder: string, own: Owner): Promise<string | undefined> {
  const there = await readMark(folder);
  if (there) return foreignness(folder, there, own);
  const mark: Mark = { farm: own.farm, lineage: own.lineage, token: randomUUID() };
  const made = join(folder, `${MARK}.${mark.token}${PARTIAL}`);
  try {
    await writeFile(made, JSON.stringify(mark), { flag: 'wx', mode: 0o644 });
    await link(made, join(folder, MARK));
  } catch (thrown) {
    if (errorCode(thrown) !== 'EEXIST') throw thrown;
  } finally {
    await rm(made, { force: true });
  }
  return foreignness(folder, await readMark(folder), own);
}

/**
 * Why a folder is not the one that it was: its disk went, and what is there now is the node's own, which would be filled. A new disk in its place is none such, nor
 * is a folder with the mark. `device`: of the file system as it was seen last; `system`: a folder that is on the node's own disk.
 */
export async function vanished(
  folder: string,
  { device, system }: { readonly device: string; readonly system: string },
): Promise<string | undefined> {
  const now = await deviceOf(folder);
  if (now === device || now !== (await deviceOf(system)) || (await readMark(folder))) return undefined;
  return `the disk that was mounted on ${folder} is not there, and the folder is on the node's own disk: mount it again, or another one; nothing is copied into it meanwhile`;
}

/** Of the folder, or of the nearest above it that is there. */
export async function deviceOf(folder: string): Promise<string> {
  try {
    return String((await stat(folder, { bigint: true })).dev);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT' || folder === '/') throw thrown;
    return deviceOf(dirname(folder));
  }
}
