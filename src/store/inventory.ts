/** What lies in a store's folder. Every look is bounded in time: a hung folder is a state of that store, never of the server. */
import type { Dirent, StatsFs } from 'node:fs';
import { access, constants, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isBootFile } from '../farm/files.ts';
import type { Format, ImageFacts, OpenFault } from '../image/disk.ts';
import { FORMATS, formatOf } from '../image/formats.ts';
import { identityOf, sameFile } from '../image/identity.ts';
import { probeImage } from '../image/images.ts';
import { errorCode } from '../kit/errors.ts';
import { type FileFault, pathFault, statRegular } from '../kit/file.ts';
import type { Result } from '../kit/result.ts';

export interface FileFacts {
  readonly name: string;
  readonly sizeBytes: number;
  /** As `image/identity.ts` writes it, and compares it: tells that a digest is stale, never what is right. */
  readonly identity: string;
  /** Why it cannot be read, whatever it is named; it has no size then. */
  readonly fault?: FileFault;
  /** What an image says of itself, or why it is none. Absent: it is not named as one, or cannot be read. */
  readonly image?: Result<ImageFacts, OpenFault>;
}

export interface Inventory {
  readonly state: 'Accessible' | 'ReadOnly' | 'Missing' | 'Unreachable';
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly files: readonly FileFacts[];
  readonly message: string;
}

/** One call. Above any healthy disk, below the operator's patience. */
const LOOK_TIMEOUT_MS = 5_000;

/** Of a folder that nothing is known of. */
export const noInventory = (state: 'Missing' | 'Unreachable', message: string): Inventory => ({
  ...{ state, message },
  ...{ freeBytes: 0, totalBytes: 0, files: [] },
});

/** Folders that a look still waits for: each holds one thread of Node's pool of four, which serves all stores, so none is asked twice. */
const hung = new Set<string>();

export interface LookOptions {
  readonly timeoutMs?: number;
  readonly formats?: readonly Format[];
  readonly calls?: FolderCalls;
  /** What images say of themselves, by path: asked again only of a file that changed. The caller's, who looks again and again. */
  readonly probed?: Map<string, Probed>;
}

/** What a look asks of the system. */
export interface FolderCalls {
  readonly statfs: (path: string) => Promise<StatsFs>;
  readonly readdir: (path: string) => Promise<readonly Entry[]>;
  readonly stat: typeof statRegular;
  readonly mayWrite: (path: string) => Promise<boolean>;
}

type Entry = Pick<Dirent, 'name' | 'isSymbolicLink'>;

export const FOLDER_CALLS: FolderCalls = {
  statfs: (path) => statfs(path),
  readdir: (path) => readdir(path, { withFileTypes: true }),
  stat: statRegular,
  mayWrite: (path) =>
    access(path, constants.W_OK).then(
      () => true,
      () => false,
    ),
};

export interface Probed {
  readonly identity: string;
  readonly image: Result<ImageFacts, OpenFault>;
}

export async function lookInto(
  path: string,
  { timeoutMs = LOOK_TIMEOUT_MS, formats = FORMATS, calls = FOLDER_CALLS, probed = new Map() }: LookOptions = {},
): Promise<Inventory> {
  if (hung.has(path)) return unanswered(path);
  const { promise: late, resolve } = Promise.withResolvers<Inventory>();
  let answers = 0;
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    const before = answers;
    const judge = (): void => {
      if (over) return;
      if (answers > before) wait();
      else {
        hung.add(path);
        resolve(unanswered(path));
      }
    };
    // An answer may lie behind the timer that fires: a server that had no processor for so long has no store that hangs.
    timer = setTimeout(() => setImmediate(judge), timeoutMs);
  };
  wait();
  const looked = look(path, { formats, calls, probed, answered: () => answers++ }).finally(() => {
    over = true;
    clearTimeout(timer);
    hung.delete(path);
  });
  return Promise.race([looked, late]);
}

const unanswered = (path: string): Inventory =>
  noInventory('Unreachable', `${path} did not answer within ${LOOK_TIMEOUT_MS / 1000} s: check its disk or mount`);

/** One call after the other: a folder that hangs holds one thread. */
async function look(
  path: string,
  { formats, calls, probed, answered }: Omit<Required<LookOptions>, 'timeoutMs'> & { readonly answered: () => void },
): Promise<Inventory> {
  try {
    const space = await calls.statfs(path);
    answered();
    const entries = await calls.readdir(path);
    answered();
    const files: FileFacts[] = [];
    for (const { name } of entries) {
      if (!isBootFile(name) && formatOf(name, formats) === undefined) continue;
      const file = await facts(path, name, calls, space.type);
      answered();
      if (!file) continue;
      const image = await imageOf(join(path, file.name), file, formats, probed);
      answered();
      files.push(image ? { ...file, image } : file);
    }
    return {
      state: (await calls.mayWrite(path)) ? 'Accessible' : 'ReadOnly',
      freeBytes: space.bavail * space.bsize,
      totalBytes: space.blocks * space.bsize,
      files,
      message: '',
    };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return noInventory(
        'Missing',
        `${path} is not there: make the folder on this node, or correct the path of the Store`,
      );
    return noInventory('Unreachable', pathFault(path, error).message);
  }
}

/** Where the file could not be read, that may be mended without a change of it: it is asked again. */
const mayBeMended = (image: Probed['image']): boolean =>
  !image.ok && image.error.code !== 'NotSupported' && image.error.code !== 'SizeInvalid';

/** Undefined: it is not named as an image, or cannot be one. */
async function imageOf(
  path: string,
  { fault, sizeBytes, identity }: FileFacts,
  formats: readonly Format[],
  probed: Map<string, Probed>,
): Promise<Probed['image'] | undefined> {
  if (fault) return undefined;
  const before = probed.get(path);
  const same = before && sameFile(before.identity, identity);
  const image = same ? before.image : await probeImage(path, sizeBytes, formats);
  if (image === undefined || mayBeMended(image)) probed.delete(path);
  else probed.set(path, { identity, image });
  return image;
}

/** Undefined for a file that went while we looked. */
async function facts(
  folder: string,
  name: string,
  calls: FolderCalls,
  fileSystem: number,
): Promise<FileFacts | undefined> {
  const looked = await calls.stat(join(folder, name));
  if (looked.ok) return { name, sizeBytes: Number(looked.value.size), identity: identityOf(looked.value, fileSystem) };
  return looked.error.code === 'FileMissing' ? undefined : { name, sizeBytes: 0, identity: '', fault: looked.error };
}
