/** A raw image: the file is the disk, read in place. */
import { fail, ok, type Result } from '../../kit/result.ts';
import { foreign, HEAD_BYTES, TAIL_BYTES } from '../content.ts';
import {
  beyondEnd,
  type Disk,
  type Extent,
  type Format,
  type ImageFacts,
  MOST_PIECES,
  type OpenFault,
  type OpenFile,
  type Piece,
  type ReadFault,
  SECTOR_BYTES,
} from '../disk.ts';
import { type ImageFile, lookAtFile, withFile } from '../file.ts';
import { createRaw } from './writer.ts';

export const raw: Format = {
  extension: '.raw',
  plain: true,
  probe: (path) => lookAtFile(path, judge),
  open: openRaw,
  create: createRaw,
};

/** Opens `path` read-only. The size is fixed here: a file that grows later is served up to this size. */
export function openRaw(path: string): Promise<Result<Disk, OpenFault>> {
  return withFile(path, async (file) => {
    const facts = await judge(file);
    return facts.ok ? ok(new RawDisk(file)) : facts;
  });
}

async function judge(file: ImageFile): Promise<Result<ImageFacts, OpenFault>> {
  const { path, sizeBytes } = file;
  const ends = await file.ends(HEAD_BYTES, TAIL_BYTES);
  if (!ends.ok) return ends;
  const message = foreign(path, ends.value);
  // Before its size: what is compressed has any, and was not cut.
  return message === undefined ? factsOf(path, sizeBytes) : fail('NotSupported', message);
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
  readonly #file: ImageFile;

  constructor(file: ImageFile) {
    this.#file = file;
    this.sizeBytes = file.sizeBytes;
  }

  async read(offset: number, length: number): Promise<Result<Buffer, ReadFault>> {
    const beyond = beyondEnd(this, offset, length);
    return beyond ? { ok: false, error: beyond } : this.#file.read(offset, length);
  }

  async readInto(bytes: Buffer, place: number, length: number, offset: number): Promise<ReadFault | undefined> {
    return beyondEnd(this, offset, length) ?? this.#file.readInto(bytes, place, length, offset);
  }

  async files(): Promise<readonly OpenFile[]> {
    return [await this.#file.openFile()];
  }

  async map(
    offset: number,
    length: number,
    most = MOST_PIECES,
    depth = 0,
  ): Promise<Result<readonly Piece[], ReadFault>> {
    const beyond = beyondEnd(this, offset, length);
    if (beyond) return { ok: false, error: beyond };
    await this.#file.toMap();
    const pieces: Piece[] = [];
    for (const piece of this.#file.map(offset, length, offset, depth)) if (pieces.push(piece) >= most) break;
    return ok(pieces);
  }

  extents(offset: number, length: number): readonly Extent[] {
    if (this.#file.closed || beyondEnd(this, offset, length)) return [];
    return [{ offset, length, fd: this.#file.fd, fileOffset: offset }];
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
