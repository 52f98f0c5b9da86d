/**
 * Files that people and tools put into a folder. Only a regular file is opened, and nobody is waited for: who opens a FIFO waits for its writer, a device
 * may have no end, and opening one may already do something (a watchdog starts, a tape winds back). What is none is a fault that says what it is.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { errorCode, errorMessage } from './errors.ts';
import { type Fault, fail, ok, type Result } from './result.ts';

/** What is named so is not whole yet, and is taken for nothing: who writes a file gives it its own name last. */
export const PARTIAL = '.partial';

/** The file is as before or has all of `content`, also after the machine lost its power. One at a time writes a name. What fails leaves nothing. */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const partial = path + PARTIAL;
  const file = await open(partial, 'w', mode);
  try {
    await file.writeFile(content);
    await file.datasync();
    await rename(partial, path);
  } catch (thrown) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw thrown;
  } finally {
    await file.close();
  }
}

/** Anything has that name, also a link to nowhere. What cannot be asked counts as nothing. */
export const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

export type FileFault = Fault<'FileMissing' | 'LinkBroken' | 'NotRegular' | 'NoPermission' | 'FileUnreadable'>;

export interface RegularFile {
  /** Open for reading; the caller's to close. */
  readonly file: FileHandle;
  /** Of what is open, which need not be what the name leads to by now. */
  readonly stats: BigIntStats;
}

/** Of what the name leads to; a link is followed. */
export async function statRegular(path: string): Promise<Result<BigIntStats, FileFault>> {
  try {
    return regular(path, await stat(path, { bigint: true }));
  } catch (thrown) {
    return faultOf(path, thrown);
  }
}

/** `flags` beside those to read: with O_NOFOLLOW a link is none of them. */
export async function openRegular(path: string, flags = 0): Promise<Result<RegularFile, FileFault>> {
  const looked = await statRegular(path);
  if (!looked.ok) return looked;
  let file: FileHandle | undefined;
  try {
    // What the name leads to may be another since the look: hence NONBLOCK, and the look at what was opened.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | flags);
    const stats = regular(path, await file.stat({ bigint: true }));
    if (stats.ok) return ok({ file, stats: stats.value });
    await file.close();
    return stats;
  } catch (thrown) {
    await file?.close().catch(() => undefined);
    return faultOf(path, thrown);
  }
}

type Kind = Pick<BigIntStats, 'isFile' | 'isDirectory' | 'isFIFO' | 'isSocket' | 'isBlockDevice'>;

export const kindOf = (stats: Omit<Kind, 'isFile'>): string =>
  stats.isDirectory()
    ? 'a folder'
    : stats.isFIFO()
      ? 'a named pipe'
      : stats.isSocket()
        ? 'a socket'
        : stats.isBlockDevice()
          ? 'a block device'
          : 'a character device';

function regular<Stats extends Kind>(path: string, stats: Stats): Result<Stats, FileFault> {
  if (stats.isFile()) return ok(stats);
  return fail('NotRegular', `${path} is ${kindOf(stats)}, or a link to one: put a regular file there`);
}

async function faultOf(path: string, thrown: unknown): Promise<Result<never, FileFault>> {
  const code = errorCode(thrown);
  const target = code === 'ENOENT' || code === 'ENOTDIR' ? await targetOf(path) : undefined;
  return { ok: false, error: pathFault(path, thrown, target) };
}

/** Undefined: it is no link. */
const targetOf = (path: string): Promise<string | undefined> => readlink(path).catch(() => undefined);

/** As the kernel follows. */
const MAX_LINKS = 40;

/** Where an absolute path leads when each link in it is followed, whether or not something is there: as `readlink -m` says it. A circle leads to itself. */
export async function leadsTo(path: string): Promise<string> {
  // One question where all of it is there.
  const there = await realpath(path).catch(() => undefined);
  if (there !== undefined) return there;
  const parts = partsOf(path);
  let at = '/';
  for (let links = 0; parts.length > 0; ) {
    const next = join(at, parts.shift() ?? '');
    const target = await targetOf(next);
    if (target === undefined) at = next;
    else if (++links > MAX_LINKS) return path;
    else {
      if (isAbsolute(target)) at = '/';
      parts.unshift(...partsOf(target));
    }
  }
  return at;
}

/** `..` stays one: it leads to the folder above where the link before it led to. */
const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

/** `target`: where `path` leads, if it is a link. */
export function pathFault(path: string, thrown: unknown, target?: string): FileFault {
  switch (errorCode(thrown)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return target === undefined
        ? { code: 'FileMissing', message: `${path} does not exist` }
        : { code: 'LinkBroken', message: `${path} is a link to ${target}, which is not there: correct or remove it` };
    case 'ELOOP':
      return { code: 'LinkBroken', message: `${path} is a link that leads in a circle: correct or remove it` };
    case 'EACCES':
    case 'EPERM':
      return {
        code: 'NoPermission',
        message: `${path}: permission denied to user ${process.geteuid?.()}: let it read this (r) and enter each folder above it (x)`,
      };
    default:
      return { code: 'FileUnreadable', message: `${path} cannot be read: ${errorMessage(thrown)}` };
  }
}
