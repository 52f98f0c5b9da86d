/** Files of this machine, which go to a server or come from one: each fault of theirs is a refusal that names them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, type FileHandle, lstat, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { PARTIAL } from '../kit/file.ts';
import type { Progress } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';

export interface Digest {
  readonly sizeBytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

/** How large a file is that can be sent. */
export async function sizeToSend(file: string): Promise<number> {
  const looked = await reading(file, () => stat(file));
  if (looked.isDirectory()) throw new Refusal(`${file} is a folder: name a file in it`);
  if (!looked.isFile()) throw new Refusal(`${file} is a device or a pipe, which has no size: name a file`);
  await reading(file, () => access(file, constants.R_OK));
  return looked.size;
}

/** From `start` to before `end`. */
export async function* bytesOf(file: string, start: number, end: number): AsyncGenerator<Buffer> {
  if (start >= end) return;
  try {
    yield* createReadStream(file, { start, end: end - 1 });
  } catch (thrown) {
    throw unread(file, thrown);
  }
}

export async function digestOf(file: string, tell: Progress['tell']): Promise<Digest> {
  const { size } = await reading(file, () => stat(file));
  const hash = createHash('sha256');
  let done = 0;
  tell(done, size);
  for await (const bytes of bytesOf(file, 0, size)) {
    hash.update(bytes);
    done += bytes.length;
    tell(done, size);
  }
  return { sizeBytes: done, sha256: hash.digest('hex') };
}

/** Where bytes that come go to. */
export interface Target {
  /** For messages. */
  readonly name: string;
  /** So many came. */
  at(): Promise<number>;
  put(bytes: Buffer): Promise<void>;
  /** Of all that came. */
  digest(tell: Progress['tell']): Promise<Digest>;
  /** What came is thrown away; false: it cannot be. */
  forget(): Promise<boolean>;
  /** It is whole and right. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** A file that has its name when it is whole. Nothing is there before its first byte comes. */
export async function fileToMake(file: string): Promise<Target> {
  const partial = `${file}${PARTIAL}`;
  await refuseTaken(file);
  await refuseUnwritable(file, partial);
  let opened: FileHandle | undefined;
  const handle = async (): Promise<FileHandle> => (opened ??= await writing(partial, () => open(partial, 'a')));
  const close = async (): Promise<void> => {
    const closed = opened;
    opened = undefined;
    await closed?.close();
  };
  return {
    name: file,
    at: () =>
      stat(partial).then(
        ({ size }) => size,
        () => 0,
      ),
    async put(bytes) {
      const into = await handle();
      await writing(partial, () => into.appendFile(bytes));
    },
    async digest(tell) {
      await handle(); // of no bytes, too, there is a file
      return digestOf(partial, tell);
    },
    async forget() {
      await close();
      await writing(partial, () => rm(partial, { force: true }));
      return true;
    },
    async finish() {
      const into = await handle();
      await writing(partial, () => into.sync());
      await close();
      await refuseTaken(file);
      await writing(file, () => rename(partial, file));
    },
    close,
  };
}

/** A stream that takes bytes, such as standard output: what was given to it is gone. */
export function streamToFill(name: string, give: (bytes: Uint8Array) => Promise<void>): Target {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return {
    name,
    at: async () => sizeBytes,
    async put(bytes) {
      await give(bytes);
      hash.update(bytes);
      sizeBytes += bytes.length;
    },
    digest: async () => ({ sizeBytes, sha256: hash.copy().digest('hex') }),
    forget: async () => sizeBytes === 0,
    finish: async () => undefined,
    close: async () => undefined,
  };
}

const named = (file: string): string => file || "''";

/** Nothing is ever written over. */
async function refuseTaken(file: string): Promise<void> {
  if (file === '') throw new Refusal("'' is no name of a file: name the one to be made, as lab.raw");
  const there = await lstat(file).catch((thrown: unknown) => {
    if (errorCode(thrown) === 'ENOENT') return undefined;
    throw unwritten(file, thrown);
  });
  if (there?.isDirectory())
    throw new Refusal(`${file} is a folder: name the file in it, as ${file.replace(/\/*$/, '/lab.raw')}`);
  if (there) throw new Refusal(`${file} is there already, and is not written over: remove it, or name another file`);
}

async function refuseUnwritable(file: string, partial: string): Promise<void> {
  const folder = dirname(file);
  await writing(file, () => access(folder, constants.W_OK | constants.X_OK));
  const there = await stat(partial).catch(() => undefined);
  if (!there) return;
  if (!there.isFile())
    throw new Refusal(`${partial} is no file, and what comes is kept there until it is whole: remove it`);
  await writing(partial, () => access(partial, constants.W_OK));
}

const reading = <T>(file: string, work: () => Promise<T>): Promise<T> =>
  work().catch((thrown: unknown) => {
    throw unread(file, thrown);
  });

const writing = <T>(file: string, work: () => Promise<T>): Promise<T> =>
  work().catch((thrown: unknown) => {
    throw unwritten(file, thrown);
  });

const unread = (file: string, thrown: unknown): Refusal =>
  thrown instanceof Refusal ? thrown : new Refusal(`${named(file)} cannot be read: ${errorMessage(thrown)}`);

/** What to do about it, where that is known. */
const WAYS: Readonly<Record<string, string>> = {
  ENOENT: ': make its folder first, or name another one',
  ENOTDIR: ': what stands in front of its name is no folder',
  ENOSPC: ': make room, and give the same again, which goes on',
  EDQUOT: ': make room, and give the same again, which goes on',
  EFBIG: ': this file system has no files that large: name a file of another one',
  EACCES: ': name a file in a folder of yours',
  EROFS: ': name a file in a folder of yours',
};

const unwritten = (file: string, thrown: unknown): Refusal =>
  new Refusal(`${named(file)} cannot be written: ${errorMessage(thrown)}${WAYS[errorCode(thrown)] ?? ''}`);
