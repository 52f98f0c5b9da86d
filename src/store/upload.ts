/** A file that comes from outside, such as standard input: whole and right by its digest, or not there. What came before it broke off is gone on with, and what is there already does not come again. */
import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { WorkFault } from '../image/copy.ts';
import { PartialFile } from '../image/partial.ts';
import { PARTIAL, statRegular } from '../kit/file.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import { type Arrived, looked, thereAlready } from './arrived.ts';
import { tooLong } from './longest.ts';
import { lacksRoom } from './room.ts';

export interface Upload {
  readonly sizeBytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
  /** Where the input begins; what lies before it came earlier. */
  readonly offset?: number;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * - `OffsetWrong`: what came earlier ends before it.
 * - `InputEnded`: the rest lacks, and what came stays.
 * - `InputTooLong`, `DigestWrong`: it is another file, and nothing of it stays.
 */
export type UploadFault = WorkFault | Fault<'OffsetWrong' | 'InputEnded' | 'InputTooLong' | 'DigestWrong'>;

/** Where an upload to this name goes on, bytes: of one that is there, at its end. */
export async function uploadedBytes(path: string): Promise<number> {
  const there = await statRegular(path);
  if (there.ok) return Number(there.value.size);
  return lstat(path + PARTIAL).then(
    ({ size }) => size,
    () => 0,
  );
}

export async function uploadFile(
  path: string,
  input: AsyncIterable<Uint8Array>,
  upload: Upload,
): Promise<Result<Arrived, UploadFault>> {
  const long = tooLong(path);
  return long ? { ok: false, error: long } : alone(dirname(path), () => uploadAlone(path, input, upload));
}

async function uploadAlone(
  path: string,
  input: AsyncIterable<Uint8Array>,
  upload: Upload,
): Promise<Result<Arrived, UploadFault>> {
  const { sizeBytes } = upload;
  const there = await thereAlready(path, upload);
  if (there) return ok(await looked(there));
  const opened = await PartialFile.open(path);
  if (!opened.ok) return opened;
  const file = opened.value;
  try {
    const fault = (await lacksRoom(path, sizeBytes - file.thereBytes)) ?? (await take(path, file, input, upload));
    if (fault && KEPT.has(fault.code)) await file.leave();
    return fault ? { ok: false, error: fault } : ok(await looked({ path, sizeBytes }));
  } finally {
    await file.remove();
  }
}

/** What came is not lost by these. */
const KEPT: ReadonlySet<UploadFault['code']> = new Set(['OffsetWrong', 'InputEnded', 'NoSpace', 'WriteFailed']);

async function take(
  path: string,
  file: PartialFile,
  input: AsyncIterable<Uint8Array>,
  { sizeBytes, sha256, offset = 0, onProgress }: Upload,
): Promise<UploadFault | undefined> {
  if (offset > file.thereBytes)
    return {
      code: 'OffsetWrong',
      message: `of ${path} ${file.thereBytes} bytes are there: begin at ${file.thereBytes}, not at ${offset}`,
    };
  const hash = createHash('sha256');
  let at = offset;
  const believed = await file.believe(offset, (bytes) => hash.update(bytes));
  if (believed) return believed;
  try {
    for await (const chunk of input) {
      if (at + chunk.length > sizeBytes)
        return {
          code: 'InputTooLong',
          message: `${path}: more than its ${sizeBytes} bytes came: nothing of it is kept`,
        };
      const fault = await file.append(at, Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
      if (fault) return fault;
      hash.update(chunk);
      at += chunk.length;
      onProgress?.(at, sizeBytes);
    }
  } catch {} // as if it had ended
  if (at < sizeBytes)
    return {
      code: 'InputEnded',
      message: `${path}: ${at} of ${sizeBytes} bytes came: go on from there with --offset ${at}`,
    };
  const found = hash.digest('hex');
  if (found === sha256) return file.finish(sizeBytes);
  return {
    code: 'DigestWrong',
    message: `${path}: what came has the SHA-256 ${found}, not ${sha256}: nothing of it is kept`,
  };
}
