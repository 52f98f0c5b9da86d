/** Bytes on their way out, such as to standard output: from any of them on, with the digest of all; a file is as it was from its first byte to its last. */
import { createHash } from 'node:crypto';
import { CANCELLED, type Work } from '../image/copy.ts';
import type { OpenFault } from '../image/disk.ts';
import { identityOf, sameFile } from '../image/identity.ts';
import { errorMessage } from '../kit/errors.ts';
import { type FileFault, openRegular, statRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

/** `Changed`: it was written to meanwhile. `OutputEnded`: who takes it does so no more. */
export type OutgoingFault = OpenFault | Fault<'Cancelled' | 'OffsetWrong' | 'Changed' | 'OutputEnded'>;

/** What is given at once. */
export const CHUNK_BYTES = 1 << 20;

export type Chunks = AsyncIterable<Result<Buffer, OutgoingFault>>;

export interface Outgoing extends Pick<Work, 'signal' | 'onProgress'> {
  /** What was had before is digested, and not given again. */
  readonly offset?: number;
}

export interface Given {
  /** Of all of it, whatever the offset. */
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** `give` rejects where nobody takes it any more. */
export async function giveAll(
  name: string,
  { sizeBytes, chunks }: { readonly sizeBytes: number; readonly chunks: Chunks },
  { offset = 0, signal, onProgress }: Outgoing,
  give: (bytes: Buffer) => Promise<void>,
): Promise<Result<Given, OutgoingFault>> {
  if (offset > sizeBytes)
    return fail('OffsetWrong', `${name} has ${sizeBytes} bytes, and ${offset} are said to be had`);
  const hash = createHash('sha256');
  let at = 0;
  for await (const chunk of chunks) {
    if (signal?.aborted) return { ok: false, error: { ...CANCELLED, message: 'it was cancelled' } };
    if (!chunk.ok) return chunk;
    hash.update(chunk.value);
    const fresh = chunk.value.subarray(Math.max(0, Math.min(chunk.value.length, offset - at)));
    try {
      if (fresh.length > 0) await give(fresh);
    } catch (thrown) {
      return fail(
        'OutputEnded',
        `${name}: nobody takes it any more (${errorMessage(thrown)}): go on by --offset with as many bytes as came`,
      );
    }
    at += chunk.value.length;
    onProgress?.(at, sizeBytes);
  }
  return ok({ sizeBytes, sha256: hash.digest('hex') });
}

export interface OutgoingFile {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly chunks: Chunks;
}

/** As it is now: what changes it from now on is told by its chunks. */
export async function outgoingFile(path: string): Promise<Result<OutgoingFile, FileFault>> {
  const looked = await statRegular(path);
  if (!looked.ok) return looked;
  return ok({
    sizeBytes: Number(looked.value.size),
    modifiedMs: Number(looked.value.mtimeMs),
    chunks: chunksOf(path, identityOf(looked.value)),
  });
}

async function* chunksOf(path: string, identity: string): Chunks {
  const opened = await openRegular(path);
  if (!opened.ok) return yield opened;
  await using file = opened.value.file;
  const isSame = async (): Promise<boolean> => sameFile(identity, identityOf(await file.stat({ bigint: true })));
  if (!(await isSame())) return yield changed(path);
  for (let at = 0; at < Number(opened.value.stats.size); ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, at);
    if (bytesRead === 0) break;
    yield ok(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  if (!(await isSame())) yield changed(path);
}

export const changed = (path: string) => fail('Changed', `${path} was changed while it was read: take all of it again`);
