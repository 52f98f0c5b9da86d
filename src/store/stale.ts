/** Files that were wrong and gave their names to the right ones: kept beside them for a while, as `lab.vhdx.2026-11-30T01-02-03Z.stale`. */
import { link, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { identityOf, sameFile } from '../image/identity.ts';
import { errorCode } from '../kit/errors.ts';
import { isThere, statRegular } from '../kit/file.ts';
import { readJson } from '../kit/json.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { removeUnmade } from './mark.ts';
import { isProperties } from './properties.ts';
import { isCopyName, type StoreWants } from './wants.ts';

const STALE = '.stale';
/** As the schema of a Store has it: nobody who writes a list of wants makes it less. */
const LEAST_KEPT_MS = 3_600_000;
const TIME = /^(.+)\.(\d{4}-\d{2}-\d{2}T)(\d{2})-(\d{2})-(\d{2}Z)\.stale$/;

export const staleName = (name: string, nowMs: number): string =>
  `${name}.${new Date(nowMs).toISOString().slice(0, 19).replaceAll(':', '-')}Z${STALE}`;

/** Undefined: it is none of ours. */
export function parseStale(file: string): { readonly name: string; readonly atMs: number } | undefined {
  const [, name = '', day, hours, minutes, seconds] = TIME.exec(file) ?? [];
  const atMs = Date.parse(`${day}${hours}:${minutes}:${seconds}`);
  return (isCopyName(name) || isProperties(name)) && !Number.isNaN(atMs) ? { name, atMs } : undefined;
}

/**
 * Takes the name from the file that was seen to be wrong. `FileChanged`: another lies there by now, and is left as it is. `FileExists`: one was put aside
 * under the same name in the same second.
 */
export async function putAside(
  folder: string,
  name: string,
  identity: string,
  nowMs: number,
): Promise<Result<string | undefined, Fault<'FileChanged' | 'FileExists' | 'NotRegular'>>> {
  const path = join(folder, name);
  const found = await statRegular(path);
  if (!found.ok) {
    if (found.error.code === 'FileMissing') return ok(undefined);
    return fail(found.error.code === 'NotRegular' ? 'NotRegular' : 'FileChanged', found.error.message);
  }
  if (!sameFile(identityOf(found.value), identity))
    return fail('FileChanged', `${path} is another file than the one that was found wrong: it is looked at again`);
  const aside = staleName(name, nowMs);
  if (await isThere(join(folder, aside))) return fail('FileExists', `${join(folder, aside)} is there already`);
  await rename(path, join(folder, aside));
  const moved = await statRegular(join(folder, aside));
  if (moved.ok && sameFile(identityOf(moved.value), identity)) return ok(aside);
  // A person's came between the look and this: it has its name back, if nobody has taken that.
  await link(join(folder, aside), path).then(() => unlink(join(folder, aside)));
  return fail('FileChanged', `${path} is another file since a moment ago: it is looked at again`);
}

/** Which of a folder may go: those that are `isOld` whose right one is there and whole, first what was put aside first. Pure. */
export function mayGo(
  files: readonly string[],
  isWhole: (name: string) => boolean,
  isOld: (file: string) => boolean,
): readonly string[] {
  return files
    .flatMap((file) => {
      const stale = parseStale(file);
      return stale && isOld(file) && isWhole(stale.name) && files.includes(stale.name) ? [{ file, ...stale }] : [];
    })
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ file }) => file);
}

/** How long each has been seen to lie there, in ms, by its path: whatever a clock says, it passed. */
export type StaleAges = Readonly<Record<string, number>>;

/** Of what an earlier process wrote; empty: nothing that can be read. */
export const parseAges = (text: string): StaleAges => readJson(Ages, text) ?? {};
const Ages = Type.Record(Type.String(), Type.Number({ minimum: 0 }));

/** Those of the folder that are there, each older by what passed since it was seen last; a new one is 0. Pure. */
export function agedBy(folder: string, files: readonly string[], ages: StaleAges, passedMs: number): StaleAges {
  const stale = files.filter((file) => parseStale(file)).map((file) => join(folder, file));
  return Object.fromEntries(
    stale.map((path) => [path, ages[path] === undefined ? 0 : ages[path] + Math.max(0, passedMs)]),
  );
}

/**
 * Of a store, with what was left of a mark: those that were seen to lie there for long enough, or, where it is `full`, the one that was put aside first. `passedMs`: since the folder was
 * looked at last, by a clock that never jumps.
 */
export async function removeStale(
  { folder, whole, keepStaleSeconds }: Pick<StoreWants, 'folder' | 'whole' | 'keepStaleSeconds'>,
  full: boolean,
  seen: StaleAges,
  passedMs: number,
): Promise<{ readonly removed: readonly string[]; readonly ages: StaleAges }> {
  const keepMs = full ? 0 : Math.max(LEAST_KEPT_MS, keepStaleSeconds * 1_000);
  const files = await namesIn(folder);
  await removeUnmade(folder, files);
  const ages = agedBy(folder, files, seen, passedMs);
  const isOld = (file: string): boolean => (ages[join(folder, file)] ?? 0) >= keepMs;
  const going = mayGo(files, (name) => whole.includes(name), isOld);
  const removed = full ? going.slice(0, 1) : going;
  for (const file of removed) await rm(join(folder, file), { force: true });
  return { removed, ages };
}

/** None where nobody has made the folder yet. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}
