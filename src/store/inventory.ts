/** What lies in a store's folder. Every look is bounded in time: a hung folder is a state of that store, never of the server. */
import { access, constants, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage } from '../kit/errors.ts';

export interface FileFacts {
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * Changes whenever the content does: inode, size and time of modification in ns. Tells that a digest is stale, never what is right.
   * Not the time of status change: a chmod would stop a version from being served until its digest is computed anew.
   */
  readonly identity: string;
}

export interface Inventory {
  readonly state: 'Accessible' | 'ReadOnly' | 'Missing' | 'Unreachable';
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly files: readonly FileFacts[];
  readonly message: string;
}

/** Above any healthy disk, below the operator's patience. */
const LOOK_TIMEOUT_MS = 5_000;
const IMAGE_FILE = /\.(raw|vhdx?|avhdx?|vmlinuz|initrd)$/;

const nothing = { freeBytes: 0, totalBytes: 0, files: [] };

export async function lookInto(path: string): Promise<Inventory> {
  const { promise: late, resolve } = Promise.withResolvers<Inventory>();
  const timer = setTimeout(
    () =>
      resolve({
        ...nothing,
        state: 'Unreachable',
        message: `${path} did not answer within ${LOOK_TIMEOUT_MS / 1000} s: check its disk or mount`,
      }),
    LOOK_TIMEOUT_MS,
  );
  try {
    return await Promise.race([look(path), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function look(path: string): Promise<Inventory> {
  try {
    const [space, entries] = await Promise.all([statfs(path), readdir(path, { withFileTypes: true })]);
    const images = entries.filter((entry) => IMAGE_FILE.test(entry.name) && !entry.isDirectory());
    const files = (await Promise.all(images.map(({ name }) => facts(path, name)))).filter((file) => file !== undefined);
    const writable = await access(path, constants.W_OK).then(
      () => true,
      () => false,
    );
    return {
      state: writable ? 'Accessible' : 'ReadOnly',
      freeBytes: space.bavail * space.bsize,
      totalBytes: space.blocks * space.bsize,
      files,
      message: '',
    };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return {
        ...nothing,
        state: 'Missing',
        message: `${path} is not there: make the folder on this node, or correct the path of the Store`,
      };
    return {
      ...nothing,
      state: 'Unreachable',
      message: `${path}: ${errorMessage(error)}`,
    };
  }
}

/** Undefined for a file that went while we looked. */
async function facts(folder: string, name: string): Promise<FileFacts | undefined> {
  try {
    const { ino, size, mtimeNs } = await stat(join(folder, name), { bigint: true });
    return { name, sizeBytes: Number(size), identity: `${ino}:${size}:${mtimeNs}` };
  } catch {
    return undefined;
  }
}
