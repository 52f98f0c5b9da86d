/** A raw image: the file is the disk, read in place. */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { beyondEnd, type Disk, type Extent, type OpenFault, type ReadFault, SECTOR_BYTES } from '../disk.ts';

/** Opens `path` read-only. The size is fixed here: a file that grows later is served up to this size. */
export async function openRaw(path: string): Promise<Result<Disk, OpenFault>> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (thrown) {
    return openFault(path, thrown);
  }
  const sizeBytes = await size(file);
  if (sizeBytes.ok && sizeBytes.value > 0 && sizeBytes.value % SECTOR_BYTES === 0)
    return ok(new RawDisk(path, file, sizeBytes.value));
  await file.close();
  if (!sizeBytes.ok) return openFault(path, new Error(sizeBytes.error.message));
  return fail(
    'SizeInvalid',
    `${path} has ${sizeBytes.value} bytes: a raw image has a multiple of ${SECTOR_BYTES}, and at least one. It was cut, or it is no image`,
  );
}

async function size(file: FileHandle): Promise<Result<number, Fault>> {
  const facts = await file.stat();
  return facts.isFile() ? ok(facts.size) : fail('NotAFile', 'it is no regular file');
}

function openFault(path: string, thrown: unknown): Result<never, OpenFault> {
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return fail('FileMissing', `${path} does not exist`);
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return fail('FileUnreadable', `${path} cannot be opened for reading: ${why}`);
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
