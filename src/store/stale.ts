/** Files that were wrong and gave their names to the right ones: kept beside them for a while, as `lab.vhdx.2026-11-30T01-02-03Z.stale`. */
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf, sameFile } from '../image/identity.ts';
import { statRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { isCopyName, type StoreWants } from './wants.ts';

const STALE = '.stale';
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
  return ok(aside);
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
  { folder, files, keepStaleSeconds }: Pick<StoreWants, 'folder' | 'files' | 'keepStaleSeconds'>,
  full: boolean,
  nowMs: number,
): Promise<readonly string[]> {
  const isWhole = (name: string): boolean => !files.some((file) => file.name === name);
  const going = mayGo(await readdir(folder), isWhole, full ? nowMs : nowMs - keepStaleSeconds * 1_000);
  const gone = full ? going.slice(0, 1) : going;
  for (const file of gone) await rm(join(folder, file), { force: true });
  return gone;
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );
