/** What lies under names of a folder at this moment, by content: for who takes nobody's word for it. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { VersionFile } from '../farm/model.ts';
import { identityOf } from '../image/identity.ts';
import { errorMessage } from '../kit/errors.ts';
import { openRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { FileFacts } from './inventory.ts';

/** `identity`: as it was when it was opened. Who reads it while somebody writes it finds another at his next look. */
export type ReadFile = Pick<FileFacts, 'identity'> & Pick<VersionFile, 'sha256'>;

export interface Reading {
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

const READ_BYTES = 1 << 20;

/** All of each, in order. One that is another file by now is left out. */
export async function readAll(
  folder: string,
  files: readonly FileFacts[],
  { signal, onProgress }: Reading,
): Promise<Result<ReadonlyMap<string, ReadFile>, Fault<'FileUnreadable' | 'Cancelled'>>> {
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const read = new Map<string, ReadFile>();
  let done = 0;
  for (const { name, identity } of files) {
    const path = join(folder, name);
    const opened = await openRegular(path);
    if (!opened.ok) return fail('FileUnreadable', opened.error.message);
    await using file = opened.value.file;
    // What was opened is what was looked at.
    if (identityOf(opened.value.stats) !== identity.replace(/:lasting$/, '')) continue;
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(READ_BYTES);
    try {
      for (;;) {
        if (signal?.aborted) return fail('Cancelled', `${path} stays: its reading was ended`);
        const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
        if (bytesRead === 0) break;
        hash.update(buffer.subarray(0, bytesRead));
        done += bytesRead;
        onProgress?.(Math.min(done, total), total);
      }
    } catch (thrown) {
      return fail('FileUnreadable', `${path} stays: it cannot be read: ${errorMessage(thrown)}`);
    }
    read.set(name, { identity, sha256: hash.digest('hex') });
  }
  return ok(read);
}
