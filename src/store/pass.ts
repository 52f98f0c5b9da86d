/** Reads a file once, from its beginning to its end: its digest, its chunk manifest, and the leaf table of the disk that it is. */
import type { FileHandle } from 'node:fs/promises';
import { identityOf, sameFile } from '../image/identity.ts';
import type { RegularFile } from '../kit/file.ts';
import type { Pass } from './hasher.ts';
import type { Hashed } from './hashes.ts';
import type { FileFacts } from './inventory.ts';
import type { Making } from './tables.ts';

/** `root`: of its leaf table, if it was made. */
export type Read = Hashed & { readonly root?: string | undefined };

/** Of as many bytes as were seen. `goOn`: before the first piece and after each, with the bytes that were read. Undefined: it said no. */
export async function readOnce(
  { file, stats }: RegularFile,
  { sizeBytes, identity }: FileFacts,
  { pass, table }: { readonly pass: Pass; readonly table: Making | undefined },
  goOn: (readBytes: number) => Promise<boolean>,
): Promise<Read | undefined> {
  let done = 0;
  for (let bytesRead = 0; ; ) {
    if (!(await goOn(bytesRead))) return undefined;
    if (done === sizeBytes) break;
    const room = await pass.room();
    bytesRead = await readUpTo(file, room.subarray(0, sizeBytes - done), done);
    if (bytesRead === 0) break;
    pass.add(bytesRead);
    await table?.add(room.subarray(0, bytesRead));
    done += bytesRead;
  }
  // What was read is what was seen only if it was that from the first byte to the last.
  for (const now of [stats, await file.stat({ bigint: true })])
    if (!sameFile(identityOf(now), identity)) throw new Error('it changed while it was read, and is read again');
  if (done < sizeBytes) throw new Error(`it ends after ${done} bytes, and has ${sizeBytes}: its disk or mount is ill`);
  const hashed = await pass.finish();
  return { ...hashed, root: await table?.finish(hashed.sha256) };
}

/** Fewer than there is room for: the file ends. */
async function readUpTo(file: FileHandle, to: Uint8Array, at: number): Promise<number> {
  for (let done = 0; ; ) {
    const { bytesRead } = await file.read(to, done, to.length - done, at + done);
    done += bytesRead;
    if (bytesRead === 0 || done === to.length) return done;
  }
}
