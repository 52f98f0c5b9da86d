/** A raw image: the file is the disk, read in place. */
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { errorMessage } from '../../kit/errors.ts';
import { openRegular } from '../../kit/file.ts';
import { fail, ok, type Result } from '../../kit/result.ts';
import {
  beyondEnd,
  type Disk,
  type Extent,
  type Format,
  type ImageFacts,
  type OpenFault,
  type OpenFile,
  type ReadFault,
  SECTOR_BYTES,
} from '../disk.ts';
import { identityOf } from '../identity.ts';
import { foreign, HEAD_BYTES, TAIL_BYTES } from './content.ts';

export const raw: Format = {
  extension: '.raw',
  plain: true,
  probe,
  open: openRaw,
};

async function probe(path: string): Promise<Result<ImageFacts, OpenFault>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  await using file = opened.value.file;
  return await judge(path, file, Number(opened.value.stats.size));
}

/** Opens `path` read-only. The size is fixed here: a file that grows later is served up to this size. */
export async function openRaw(path: string): Promise<Result<Disk, OpenFault>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  const { file, stats } = opened.value;
  const facts = await judge(path, file, Number(stats.size));
  if (facts.ok) return ok(new RawDisk(path, file, facts.value.sizeBytes));
  await file.close();
  return facts;
}

async function judge(path: string, file: FileHandle, fileBytes: number): Promise<Result<ImageFacts, OpenFault>> {
  try {
    const head = await readUpTo(file, 0, Math.min(HEAD_BYTES, fileBytes));
    const tail = await readUpTo(file, Math.max(0, fileBytes - TAIL_BYTES), Math.min(TAIL_BYTES, fileBytes));
    const message = foreign(path, { head, tail, sizeBytes: fileBytes });
    // Before its size: what is compressed has any, and was not cut.
    return message === undefined ? factsOf(path, fileBytes) : fail('NotSupported', message);
  } catch (thrown) {
    return fail('FileUnreadable', `${path} cannot be read: ${errorMessage(thrown)}`);
  }
}

async function readUpTo(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

function factsOf(path: string, fileBytes: number): Result<ImageFacts, OpenFault> {
  if (fileBytes === 0) return fail('SizeInvalid', `${path} is empty: copy it again`);
  if (fileBytes % SECTOR_BYTES === 0) return ok({ sizeBytes: fileBytes });
  return fail(
    'SizeInvalid',
    `${path} has ${fileBytes} bytes, and a raw image has a multiple of ${SECTOR_BYTES}: it was cut; copy it again`,
  );
}

class RawDisk implements Disk {
  readonly sizeBytes: number;
  readonly blockSize = 512;
  readonly #path: string;
  readonly #file: FileHandle;
  #closed = false;

  constructor(path: string, file: FileHandle, sizeBytes: number) {
    this.#path = path;
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  async read(offset: number, length: number): Promise<Result<Buffer, ReadFault>> {
    const beyond = beyondEnd(this, offset, length);
    if (beyond) return { ok: false, error: beyond };
    if (this.#closed) return fail('DiskClosed', `${this.#path} is closed`);
    const bytes = Buffer.allocUnsafe(length);
    try {
      for (let done = 0; done < length; ) {
        const { bytesRead } = await this.#file.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0)
          return fail(
            'FileCut',
            `${this.#path} ends before byte ${offset + length}: it had ${this.sizeBytes} bytes when it was opened and was cut since`,
          );
        done += bytesRead;
      }
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      return fail('ReadFailed', `${this.#path}: ${length} bytes at ${offset}: ${why}`);
    }
    return ok(bytes);
  }

  async files(): Promise<readonly OpenFile[]> {
    return [{ name: basename(this.#path), identity: identityOf(await this.#file.stat({ bigint: true })) }];
  }

  extents(offset: number, length: number): readonly Extent[] {
    if (this.#closed || beyondEnd(this, offset, length)) return [];
    return [{ offset, length, fd: this.#file.fd, fileOffset: offset }];
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}
