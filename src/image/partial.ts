/**
 * A file that is being written under a name that no look takes for an image, and gets its own when it is whole. What an earlier try left is gone on with, and
 * believed of nothing: each byte is compared with what is to be there, and only what differs is written.
 *
 * ```
 * [ proved: as it is to be ..............│ to be proved ...............]
 *                                  #cursor                      #there: where the file ended when it was opened
 * ```
 */
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { type FileFault, isThere, kindOf, PARTIAL, pathFault } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import type { ReadFault } from './disk.ts';
import { ImageFile } from './file.ts';
import { lock, stretches } from './native.ts';
import type { WriteFault } from './writer.ts';

/** What is compared at once. */
const STEP_BYTES = 1 << 20;
/** So much is written before it is waited for that the disk has it: no flood at the end, and that much at most is done again. */
const SYNC_BYTES = 256 << 20;
const ZEROS = Buffer.alloc(STEP_BYTES);
/** Another may finish, or remove, what was just found. */
const MAX_TRIES = 5;

/** Takes the name from what has it. */
export type MakeWay = () => Promise<WriteFault | undefined>;

export interface PartialOptions {
  readonly makeWay?: MakeWay | undefined;
  /** What it is called until then; it ends with `PARTIAL`. Absent: its name and that, as a person calls what he copies. */
  readonly partial?: string;
}

export class PartialFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #there: number;
  #cursor = 0;
  #unsynced = 0;
  #open = true;
  readonly #partial: string;
  readonly #makeWay: MakeWay | undefined;

  private constructor(
    { path, partial, makeWay }: { path: string; partial: string; makeWay: MakeWay | undefined },
    file: FileHandle,
    there: number,
  ) {
    this.#path = path;
    this.#partial = partial;
    this.#file = file;
    this.#there = there;
    this.#makeWay = makeWay;
  }

  /** `path`: the name that it gets; one that is taken is refused at once, but where `makeWay` may free it when it is whole. */
  static async open(
    path: string,
    { makeWay, partial = path + PARTIAL }: PartialOptions = {},
  ): Promise<Result<PartialFile, WriteFault>> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const taken = makeWay ? undefined : await nameTaken(path);
      if (taken) return { ok: false, error: taken };
      const opened = await openOnce(partial);
      if (!opened.ok) return opened;
      if (opened.value) return ok(new PartialFile({ path, partial, makeWay }, opened.value.file, opened.value.bytes));
    }
    return fail('BeingWritten', `${partial} comes and goes: another process writes it; wait until it ends`);
  }

  /** Bytes that an earlier try left. */
  get thereBytes(): number {
    return this.#there;
  }

  /** What an earlier try left up to there is believed: whoever does so compares the digest of the whole. `onBytes` is given all of it, in order. */
  async believe(offset: number, onBytes: (bytes: Buffer) => void): Promise<WriteFault | undefined> {
    return this.#attempt(async () => {
      while (this.#cursor < offset) {
        const bytes = Buffer.allocUnsafe(Math.min(STEP_BYTES, offset - this.#cursor));
        const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, this.#cursor);
        if (bytesRead === 0) throw new Error('it became shorter meanwhile');
        onBytes(bytes.subarray(0, bytesRead));
        this.#cursor += bytesRead;
      }
    });
  }

  /** Whoever writes in any order proves what an earlier try left, and writes by `patch` or through the file itself. */
  takeOver(): void {
    this.#cursor = Math.max(this.#cursor, this.#there);
  }

  /** Behind all that was appended; what is left out is zeros. */
  async append(offset: number, bytes: Buffer): Promise<WriteFault | undefined> {
    return this.#attempt(async () => {
      await this.#zeroTo(offset);
      for (let at = 0; at < bytes.length; at += STEP_BYTES)
        await this.#prove(offset + at, bytes.subarray(at, at + STEP_BYTES));
      this.#cursor = offset + bytes.length;
    });
  }

  /** What was left out up to there is zeros. */
  async reach(offset: number): Promise<WriteFault | undefined> {
    return offset > this.#cursor ? this.#attempt(() => this.#zeroTo(offset)) : undefined;
  }

  /** Before what was reached, over what is there. */
  async patch(offset: number, bytes: Buffer): Promise<WriteFault | undefined> {
    return this.#attempt(() => this.#write(offset, bytes));
  }

  /** It ends at `sizeBytes`, is on the disk, and has its name. */
  async finish(sizeBytes: number): Promise<WriteFault | undefined> {
    const fault = await this.#attempt(async () => {
      await this.#zeroTo(Math.max(this.#cursor, Math.min(sizeBytes, this.#there)));
      await this.#file.truncate(sizeBytes);
      await this.#file.sync();
    });
    return fault ?? (await this.#makeWay?.()) ?? (await this.#name());
  }

  /** What was written stays, for the next try; where nothing was, nothing does. Idempotent. */
  async leave(): Promise<void> {
    if (!this.#open) return;
    const size = await this.#file.stat().then(
      (stats) => stats.size,
      () => undefined,
    );
    if (size === 0) return this.remove();
    this.#open = false;
    await this.#file.close();
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await unlink(this.#partial).catch(() => undefined);
    await this.#file.close();
  }

  async #name(): Promise<WriteFault | undefined> {
    const partial = this.#partial;
    try {
      await link(partial, this.#path);
      await unlink(partial);
    } catch (thrown) {
      if (errorCode(thrown) === 'EEXIST') return exists(this.#path);
      if (!WITHOUT_LINKS.has(errorCode(thrown))) return writeFault(this.#path, thrown);
      if (await isThere(this.#path)) return exists(this.#path);
      const fault = await this.#attempt(() => rename(partial, this.#path));
      if (fault) return fault;
    }
    this.#open = false;
    return this.#attempt(async () => {
      await this.#file.close();
      await syncFolder(dirname(this.#path));
    });
  }

  async #zeroTo(offset: number): Promise<void> {
    const end = Math.min(offset, this.#there);
    if (end > this.#cursor)
      for (const { offset: from, length, isHole } of stretches(this.#file.fd, this.#cursor, end - this.#cursor))
        for (let at = from; !isHole && at < from + length; at += STEP_BYTES)
          await this.#prove(at, ZEROS.subarray(0, Math.min(STEP_BYTES, from + length - at)));
    this.#cursor = offset;
  }

  async #prove(offset: number, bytes: Buffer): Promise<void> {
    if (offset < this.#there) {
      const old = Buffer.allocUnsafe(bytes.length);
      const { bytesRead } = await this.#file.read(old, 0, bytes.length, offset);
      if (bytesRead === bytes.length && old.equals(bytes)) return;
    }
    await this.#write(offset, bytes);
  }

  async #write(offset: number, bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, offset + done);
      done += bytesWritten;
    }
    this.#unsynced += bytes.length;
    if (this.#unsynced < SYNC_BYTES) return;
    this.#unsynced = 0;
    await this.#file.datasync();
  }

  async #attempt(work: () => Promise<void>): Promise<WriteFault | undefined> {
    try {
      await work();
      return undefined;
    } catch (thrown) {
      return writeFault(this.#path, thrown);
    }
  }
}

/** A file of any kind under another name, whole or not at all. `FileMissing`: of what is copied. */
export async function copyFile(from: string, to: string): Promise<FileFault | ReadFault | WriteFault | undefined> {
  const source = await ImageFile.open(from);
  if (!source.ok) return source.error;
  const { value: file } = source;
  const target = await PartialFile.open(to);
  if (!target.ok) {
    await file.close();
    return target.error;
  }
  try {
    for (let at = 0; at < file.sizeBytes; at += STEP_BYTES) {
      const read = await file.read(at, Math.min(STEP_BYTES, file.sizeBytes - at));
      const fault = read.ok ? await target.value.append(at, read.value) : read.error;
      if (fault) return fault;
    }
    return await target.value.finish(file.sizeBytes);
  } finally {
    await target.value.remove();
    await file.close();
  }
}

/** Undefined: what was found is gone, or is an image by now. */
async function openOnce(
  partial: string,
): Promise<Result<{ readonly file: FileHandle; readonly bytes: number } | undefined, WriteFault>> {
  let file: FileHandle | undefined;
  try {
    file = await openEither(partial);
    const answer = await judge(partial, file);
    if (!answer.ok || !answer.value) await file.close();
    return answer;
  } catch (thrown) {
    await file?.close();
    // What cannot even be opened so: a link, a folder, a socket.
    const there = await lstat(partial).catch(() => undefined);
    if (there && !there.isFile()) return notRegular(partial, there.isSymbolicLink() ? 'a link' : kindOf(there));
    return errorCode(thrown) === 'ENOENT' && (await isThere(dirname(partial)))
      ? ok(undefined)
      : { ok: false, error: writeFault(partial.slice(0, -PARTIAL.length), thrown) };
  }
}

async function openEither(partial: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  try {
    return await open(partial, flags | O_CREAT | O_EXCL);
  } catch (thrown) {
    if (errorCode(thrown) !== 'EEXIST') throw thrown;
    return open(partial, flags);
  }
}

async function judge(
  partial: string,
  file: FileHandle,
): Promise<Result<{ readonly file: FileHandle; readonly bytes: number } | undefined, WriteFault>> {
  const stats = await file.stat({ bigint: true });
  if (!stats.isFile()) return notRegular(partial, kindOf(stats));
  const locked = lock(file.fd);
  if (locked === 'held')
    return fail('BeingWritten', `${partial} is being written by another process: wait until it ends, or end it`);
  if (locked === 'unknown' && stats.size > 0n)
    return fail(
      'BeingWritten',
      `${partial} is there, and this file system does not tell whether another process writes it: remove it if none does`,
    );
  const named = await lstat(partial, { bigint: true }).catch(() => undefined);
  if (named?.ino !== stats.ino || named.dev !== stats.dev) return ok(undefined);
  // It got its name, and its writer ended before this one went: the bytes are an image's.
  if (named.nlink > 1n) {
    await unlink(partial);
    return ok(undefined);
  }
  return ok({ file, bytes: Number(stats.size) });
}

const notRegular = (partial: string, kind: string) =>
  fail('NotRegular', `${partial} is ${kind}, and what is made is written there: remove it`);

const exists = (path: string): WriteFault => ({
  code: 'FileExists',
  message: `${path} is there already, and is not overwritten: name another, or remove it`,
});

/** For who does much before the file is begun. */
export const nameTaken = async (path: string): Promise<WriteFault | undefined> =>
  (await isThere(path)) ? exists(path) : undefined;

/** Of file systems that know no second name of a file. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** The name is on the disk, too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function writeFault(path: string, thrown: unknown): WriteFault {
  switch (errorCode(thrown)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return { code: 'NoSpace', message: `${path}: its file system is full: make room there, or write elsewhere` };
    case 'EROFS':
      return {
        code: 'WriteFailed',
        message: `${path}: its file system is read-only here, as stores are for a server: use the container \`work\` of its pod, as in \`kubectl exec deploy/main-NODE -c work -- bootfarm vdisk …\``,
      };
    case 'EFBIG':
      return { code: 'WriteFailed', message: `${path}: its file system has no files so large: write elsewhere` };
    case 'EACCES':
      return {
        code: 'NoPermission',
        message: `${path}: permission denied to user ${process.geteuid?.()}: let it write in that folder (wx)`,
      };
    case 'ENOENT':
    case 'ENOTDIR':
      return { code: 'FileMissing', message: `the folder of ${path} is not there: make it` };
    case 'ELOOP':
      return pathFault(path, thrown);
    default:
      return { code: 'WriteFailed', message: `${path} cannot be written: ${errorMessage(thrown)}` };
  }
}
