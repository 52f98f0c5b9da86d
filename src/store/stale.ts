/** Files that were wrong and gave their names to the right ones: kept beside them for a while, as `lab.vhdx.2026-11-30T01-02-03Z.stale`. */
import { link, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf, sameFile } from '../image/identity.ts';
import { errorCode } from '../kit/errors.ts';
import { isThere, statRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
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
  return isCopyName(name) && !Number.isNaN(atMs) ? { name, atMs } : undefined;
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

/** Which of a folder may go: those put aside before `untilMs` whose right one is there and whole, the oldest first. Pure. */
export function mayGo(
  files: readonly string[],
  isWhole: (name: string) => boolean,
  untilMs: number,
): readonly string[] {
  return files
    .flatMap((file) => {
      const stale = parseStale(file);
      return stale && stale.atMs < untilMs && isWhole(stale.name) && files.includes(stale.name)
        ? [{ file, ...stale }]
        : [];
    })
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ file }) => file);
}

/** Of a store: those that are old, or, where it is `full`, the oldest one. Their names. */
export async function removeStale(
  { folder, whole, keepStaleSeconds }: Pick<StoreWants, 'folder' | 'whole' | 'keepStaleSeconds'>,
  full: boolean,
  nowMs: number,
): Promise<readonly string[]> {
  const keepMs = full ? 0 : Math.max(LEAST_KEPT_MS, keepStaleSeconds * 1_000);
  const going = mayGo(await namesIn(folder), (name) => whole.includes(name), nowMs - keepMs);
  const gone = full ? going.slice(0, 1) : going;
  for (const file of gone) await rm(join(folder, file), { force: true });
  return gone;
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
