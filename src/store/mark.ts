/**
 * Whose a store's folder is: a file in it names the farm whose servers write there. Another farm may read, where what it wants is right by its content, and
 * writes nothing and takes nothing away: each would put aside what the other brought. Its token tells that two servers see one folder.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Static, Type } from 'typebox';
import type { Read } from '../farm/model.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { openRegular, PARTIAL } from '../kit/file.ts';
import { readJson } from '../kit/json.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

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

export const parseOwner = (text: string): Owner | undefined => readJson(Owner, text);

export interface SeenMark extends Mark {
  /** Its inode: a folder that was copied has another, and one that two servers mount has one. */
  readonly inode: string;
}

/** Undefined: there is none. What has its name and is none says nothing of whose the folder is, so it is nobody's to write in: a person removes it. */
export async function markIn(folder: string): Promise<Result<SeenMark | undefined, Fault<'MarkInvalid'>>> {
  const path = join(folder, MARK);
  const invalid = (why: string): Result<never, Fault<'MarkInvalid'>> =>
    fail(
      'MarkInvalid',
      `${path} should say whose ${folder} is, and ${why}: nothing is written there; remove it, and the next farm that writes there makes it anew`,
    );
  const opened = await openRegular(path, constants.O_NOFOLLOW);
  if (!opened.ok) return opened.error.code === 'FileMissing' ? ok(undefined) : invalid(opened.error.message);
  await using file = opened.value.file;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    const mark = readJson(Mark, buffer.toString('utf8', 0, bytesRead));
    return mark ? ok({ ...mark, inode: String(opened.value.stats.ino) }) : invalid('has no text of ours');
  } catch (thrown) {
    return invalid(errorMessage(thrown));
  }
}

/** Undefined: there is none that can be read. */
export async function readMark(folder: string): Promise<SeenMark | undefined> {
  const mark = await markIn(folder);
  return mark.ok ? mark.value : undefined;
}

/** Why this farm writes nothing there; undefined: it is its own, or nobody's yet. */
export async function foreignTo(folder: string, own: Owner): Promise<string | undefined> {
  const mark = await markIn(folder);
  return mark.ok ? foreignness(folder, mark.value, own) : mark.error.message;
}

/** By the mark. */
export function foreignness(folder: string, mark: Mark | undefined, own: Owner): string | undefined {
  if (!mark || mark.lineage === own.lineage) return undefined;
  return (
    `${folder} is kept by farm ${mark.farm} (lineage ${mark.lineage}), and this is farm ${own.farm} (lineage ${own.lineage}): what is right there is served, and nothing is copied into it. ` +
    `Give the Store another folder; or, where the other farm is no more, remove ${join(folder, MARK)}`
  );
}

/** Makes it this farm's where it is nobody's. Why nothing may be written there, or undefined. Rejects where the file system does. */
export async function claim(folder: string, own: Owner): Promise<string | undefined> {
  const there = await markIn(folder);
  if (!there.ok) return there.error.message;
  if (there.value) return foreignness(folder, there.value, own);
  const mark: Mark = { farm: own.farm, lineage: own.lineage, token: randomUUID() };
  const made = join(folder, `${MARK}.${mark.token}${PARTIAL}`);
  try {
    // Whole on the disk before it has its name: one that is cut is nobody's.
    await writeFile(made, JSON.stringify(mark), { flag: 'wx', mode: 0o644, flush: true });
    await link(made, join(folder, MARK));
  } catch (thrown) {
    // Another made it, and took this one for what a kill had left (`removeUnmade`).
    const isMade = errorCode(thrown) === 'ENOENT' && (await readMark(folder)) !== undefined;
    if (errorCode(thrown) !== 'EEXIST' && !isMade) throw thrown;
  } finally {
    await rm(made, { force: true });
  }
  return foreignTo(folder, own);
}

const UNMADE = /^\.bootfarm-farm\.json\.[0-9a-f-]{36}\.partial$/;

/** Files by which a mark was to be made by who was killed: where it is made they are nobody's. */
export async function removeUnmade(folder: string, files: readonly string[]): Promise<void> {
  const unmade = files.filter((file) => UNMADE.test(file));
  if (unmade.length === 0 || !(await readMark(folder))) return;
  for (const file of unmade) await rm(join(folder, file), { force: true });
}

/** In the folder of jobs: on which devices the folders of stores were when they were marked (`deviceOf`). */
export const DEVICES_FILE = 'devices.json';
const Devices = Type.Record(Type.String(), Type.String());

/** By folder; empty: it cannot be read. */
export const parseDevices = (text: string): Readonly<Record<string, string>> => readJson(Devices, text) ?? {};

/**
 * Why a folder is not the one that it was: its disk went, and what is there now is the node's own, which would be filled. A new disk in its place is none such, nor
 * is a folder with the same mark; one with another mark is, for work that ran before the disk was mounted marked the node's own. `device`: as `deviceOf` saw it
 * last; `system`: a folder that is on the node's own disk.
 */
export async function vanished(
  folder: string,
  { device, system }: { readonly device: string; readonly system: string },
): Promise<string | undefined> {
  const [number, token] = device.split(' ');
  const now = await deviceNumber(folder);
  if (now === number || now !== (await deviceNumber(system))) return undefined;
  const mark = await readMark(folder);
  if (mark && mark.token === token) return undefined;
  return `the disk that was mounted on ${folder} is not there, and the folder is on the node's own disk: mount it again, or another one; nothing is written there meanwhile`;
}

/** The number of the folder's device, or of the nearest above it that is there, and the token of its mark where it has one. */
export async function deviceOf(folder: string): Promise<string> {
  const mark = await readMark(folder);
  return [await deviceNumber(folder), ...(mark ? [mark.token] : [])].join(' ');
}

async function deviceNumber(folder: string): Promise<string> {
  try {
    return String((await stat(folder, { bigint: true })).dev);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT' || folder === '/') throw thrown;
    return deviceNumber(dirname(folder));
  }
}

/** Whom the container `work` writes for; undefined: the server is of a release that does not say it. */
export const readOwner = async (stateDirectory: string): Promise<Owner | undefined> =>
  parseOwner(await readFile(join(stateDirectory, OWNER_FILE), 'utf8').catch(() => ''));
