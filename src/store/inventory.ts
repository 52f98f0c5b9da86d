/** What lies in a store's folder. Every look is bounded in time: a hung folder is a state of that store, never of the server. */
import type { Dirent, StatsFs } from 'node:fs';
import { access, constants, readdir, realpath, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isBootFile, isWithin } from '../farm/files.ts';
import type { PropertiesFacts } from '../farm/properties.ts';
import type { Format, ImageFacts, ImageFault, OpenFault } from '../image/disk.ts';
import { FORMATS, formatOf } from '../image/formats.ts';
import { identityOf, modifiedMs, sameFile } from '../image/identity.ts';
import { probeImage } from '../image/images.ts';
import { isLocal } from '../image/local.ts';
import { errorCode } from '../kit/errors.ts';
import { type FileFault, leadsTo, pathFault, statRegular } from '../kit/file.ts';
import type { Fault, Result } from '../kit/result.ts';
import { foreignness, markIn, type Owner } from './mark.ts';
import { mountOf, readMounts } from './mounted.ts';
import { isProperties, propertiesOf, type SeenProperties } from './properties.ts';

type LookFault = FileFault | Fault<'LinkOutside' | 'NameInvalid'>;

export interface FileFacts {
  readonly name: string;
  readonly sizeBytes: number;
  /** As `image/identity.ts` writes it, and compares it: tells that a digest is stale, never what is right. */
  readonly identity: string;
  /** It was written a moment before this look, so it may not be whole. */
  readonly fresh?: true;
  /** Why it cannot be read, whatever it is named; it has no size then. */
  readonly fault?: LookFault;
  /** What an image says of itself, or why it is none. Absent: it is not named as one, or cannot be read. */
  readonly image?: Result<ImageFacts, OpenFault>;
  /** Of a `.pvp`, which is no image. */
  readonly properties?: PropertiesFacts;
}

export interface Inventory {
  readonly state: 'Accessible' | 'ReadOnly' | 'Missing' | 'Unreachable';
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly files: readonly FileFacts[];
  readonly message: string;
  /** Another one where two servers see two folders: of a mark (`mark.ts`). Absent: it has none. */
  readonly volume?: string;
  /** Another farm writes there, or nobody knows which: this one does not. */
  readonly foreign?: true;
  /** The kernel tells of all changes there. */
  readonly isWatched?: true;
  /** Nothing has its name: who copies files into it makes it. */
  readonly isAbsent?: true;
}

const named = new WeakMap<readonly FileFacts[], ReadonlyMap<string, FileFacts>>();

/** By name: made once of each look, since each version asks for it, and a folder may have a hundred thousand. */
export function byName({ files }: Pick<Inventory, 'files'>): ReadonlyMap<string, FileFacts> {
  const known = named.get(files);
  if (known) return known;
  const made = new Map(files.map((file) => [file.name, file]));
  named.set(files, made);
  return made;
}

/** One call. Above any healthy disk, below the operator's patience. */
const LOOK_TIMEOUT_MS = 5_000;
/** Of it; so many in a row without an answer. */
const SILENT_PARTS = 5;

/**
 * A copy that is being put there pauses while its disk is busy. What pauses for longer, and is cut, looks like one that is whole: only a name that no look
 * takes for an image until it is (`PARTIAL`) tells them apart.
 */
const FRESH_MS = 10_000;

/** Of a folder that nothing is known of. */
export const noInventory = (state: 'Missing' | 'Unreachable', message: string): Inventory => ({
  ...{ state, message },
  ...{ freeBytes: 0, totalBytes: 0, files: [] },
});

/** Folders that a look still waits for: each holds one of Node's threads, which serve all stores, so none is asked twice. */
const hung = new Set<string>();

/** Where roots lead as they said last, and which are being asked. */
const led = new Map<string, Led>();

interface Led {
  readonly end?: string;
  asking?: Promise<void>;
  /** It did not answer in time, and has not yet. */
  late: boolean;
}

export interface LookOptions {
  readonly timeoutMs?: number;
  readonly formats?: readonly Format[];
  readonly calls?: FolderCalls;
  /** Folders that no link may lead out of: what is elsewhere is the server's own, or not in its pod. */
  readonly roots?: readonly string[];
  /** What images say of themselves, by path: asked again only of a file that changed. The caller's, who looks again and again. */
  readonly probed?: Map<string, Probed>;
  /** What properties of versions are, likewise. */
  readonly seen?: Map<string, SeenProperties>;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  /** Whose farm this server is of. Absent: the mark of a folder is not asked for. */
  readonly owner?: Owner | undefined;
}

/** What a look asks of the system. */
export interface FolderCalls {
  readonly statfs: (path: string) => Promise<StatsFs>;
  readonly readdir: (path: string) => Promise<readonly Entry[]>;
  readonly leadsTo: typeof leadsTo;
  readonly stat: typeof statRegular;
  readonly mayWrite: (path: string) => Promise<boolean>;
}

type Entry = Pick<Dirent, 'name' | 'isSymbolicLink'>;

export const FOLDER_CALLS: FolderCalls = {
  statfs: (path) => statfs(path),
  readdir: (path) => readdir(path, { withFileTypes: true }),
  leadsTo,
  stat: statRegular,
  mayWrite: (path) =>
    access(path, constants.W_OK).then(
      () => true,
      () => false,
    ),
};

/**
 * A server has its stores mounted read-only: what another container of its pod writes there is told by the file system. `access` tells it of one mount, and as no
 * permissions bind a server, that is all that it may lack.
 */
export const SERVER_CALLS: FolderCalls = {
  ...FOLDER_CALLS,
  mayWrite: (path) =>
    access(path, constants.W_OK).then(
      () => true,
      async (thrown) =>
        errorCode(thrown) === 'EROFS' && mountOf(readMounts(), await realpath(path))?.readOnlyItself === false,
    ),
};

export interface Probed {
  readonly identity: string;
  readonly image: Result<ImageFacts, OpenFault>;
}

export async function lookInto(
  path: string,
  {
    timeoutMs = LOOK_TIMEOUT_MS,
    formats = FORMATS,
    calls = FOLDER_CALLS,
    roots = ['/'],
    probed = new Map(),
    seen = new Map(),
    clock = Date.now,
    owner,
  }: LookOptions = {},
): Promise<Inventory> {
  if (hung.has(path)) return unanswered(path);
  const { promise: late, resolve } = Promise.withResolvers<Inventory>();
  let silent = 0;
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  // Counted, not measured, and an answer may lie behind the timer that fires: a server that had no processor for so long has no store that hangs.
  const judge = (): void => {
    if (over) return;
    if (++silent < SILENT_PARTS) wait();
    else {
      hung.add(path);
      resolve(unanswered(path));
    }
  };
  const wait = (): void => {
    timer = setTimeout(() => setImmediate(judge), timeoutMs / SILENT_PARTS);
  };
  wait();
  const looked = look(path, {
    timeoutMs,
    formats,
    calls,
    roots,
    probed,
    seen,
    clock,
    owner,
    answered: () => {
      silent = 0;
    },
  }).finally(() => {
    over = true;
    clearTimeout(timer);
    hung.delete(path);
  });
  return Promise.race([looked, late]);
}

const unanswered = (path: string): Inventory =>
  noInventory('Unreachable', `${path} did not answer within ${LOOK_TIMEOUT_MS / 1000} s: check its disk or mount`);

interface Looking extends Required<Omit<LookOptions, 'owner'>>, Pick<LookOptions, 'owner'> {
  readonly answered: () => void;
}

/** One call after the other: a folder that hangs holds one thread. */
async function look(path: string, looking: Looking): Promise<Inventory> {
  const { formats, calls, roots, answered } = looking;
  try {
    const elsewhere = await leadsOut(path, looking);
    if (elsewhere !== undefined)
      return noInventory('Missing', `${outside(path, elsewhere, roots)}: put the folder itself there, or add its root`);
    const space = await calls.statfs(path);
    answered();
    const marked = await ownerOf(path, looking.owner);
    answered();
    const entries = await calls.readdir(path);
    answered();
    const files: FileFacts[] = [];
    for (const entry of entries) {
      if (!isBootFile(entry.name) && !isProperties(entry.name) && formatOf(entry.name, formats) === undefined) continue;
      const file = await facts(path, entry, space.type, looking);
      if (!file) continue;
      files.push({ ...file, ...(await contentOf(join(path, file.name), file, looking)) });
      answered();
    }
    return {
      state: (await calls.mayWrite(path)) ? 'Accessible' : 'ReadOnly',
      freeBytes: space.bavail * space.bsize,
      totalBytes: space.blocks * space.bsize,
      files,
      ...(isLocal(space.type) ? { isWatched: true as const } : {}),
      ...marked.facts,
      message: [marked.message, noInodes(path, space), twins(path, files)].filter((said) => said).join('; '),
    };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      const message = `${path} is not there: make the folder on this node, or correct the path of the Store`;
      return { ...noInventory('Missing', message), ...(code === 'ENOENT' ? { isAbsent: true } : {}) };
    }
    return noInventory('Unreachable', pathFault(path, error).message);
  }
}

async function ownerOf(
  path: string,
  owner: Owner | undefined,
): Promise<{ readonly facts: Pick<Inventory, 'volume' | 'foreign'>; readonly message?: string }> {
  if (!owner) return { facts: {} };
  const mark = await markIn(path);
  if (!mark.ok) return { facts: { foreign: true }, message: mark.error.message };
  if (!mark.value) return { facts: {} };
  const volume = `${mark.value.token} ${mark.value.inode}`;
  const message = foreignness(path, mark.value, owner);
  return message === undefined ? { facts: { volume } } : { facts: { volume, foreign: true }, message };
}

/** Bytes may be free, and no file can be made. A file system that makes inodes as it needs them says that it has 0 in all. */
const noInodes = (path: string, { files, ffree }: StatsFs): string =>
  files > 0 && ffree === 0
    ? `${path}: its file system has no inodes left, so no file can be made there: remove files that nobody needs`
    : '';

const NOT_ASCII = /[^\0-\x7f]/;

/** Names that look the same and are not: one has é as one character, the other as e and an accent. */
function twins(path: string, files: readonly FileFacts[]): string {
  const names = files.map(({ name }) => name).filter((name) => NOT_ASCII.test(name));
  const [same] = [...Map.groupBy(names, (name) => name.normalize()).values()].filter(({ length }) => length > 1);
  if (!same) return '';
  const told = same.map((name) => `${JSON.stringify(name)} (${Buffer.from(name).toString('hex')})`);
  return `${path} has files whose names look the same, in two forms of Unicode: ${told.join(', ')}: a VDisk means the one that is written as its fileName; rename or remove the other`;
}

/** Where the file could not be read, that may be mended without a change of it: it is asked again. What is wrong with its content is not. */
const mayBeMended = (image: Probed['image']): boolean => !image.ok && !OF_CONTENT.has(image.error.code);
const OF_CONTENT: ReadonlySet<string> = new Set<ImageFault['code']>([
  'ImageInvalid',
  'FileCut',
  'SizeInvalid',
  'NotSupported',
]);

async function contentOf(
  path: string,
  file: FileFacts,
  { formats, probed, seen }: Looking,
): Promise<Pick<FileFacts, 'image' | 'properties'>> {
  if (isProperties(file.name)) return file.fault ? {} : { properties: await propertiesOf(path, file, seen) };
  const image = await imageOf(path, file, formats, probed);
  return image ? { image } : {};
}

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

/** For bytes of a name that are none: no file can be opened by what is left of it. */
const NO_CHARACTER = '\ufffd';

/** Undefined for a file that went while we looked. `fileSystem`: the type of that of the folder. */
async function facts(
  folder: string,
  entry: Entry,
  fileSystem: number,
  looking: Looking,
): Promise<FileFacts | undefined> {
  const { calls, roots, clock, answered } = looking;
  const { name } = entry;
  const path = join(folder, name);
  const faulty = (fault: LookFault): FileFacts => ({ name, sizeBytes: 0, identity: '', fault });
  const isLink = entry.isSymbolicLink();
  const elsewhere = isLink ? await leadsOut(path, looking) : undefined;
  if (elsewhere !== undefined)
    return faulty({ code: 'LinkOutside', message: `${outside(path, elsewhere, roots)}: put the file itself there` });
  const began = clock();
  const looked = await calls.stat(path);
  const ended = clock();
  answered();
  if (!looked.ok && looked.error.code === 'FileMissing' && name.includes(NO_CHARACTER))
    return faulty({ code: 'NameInvalid', message: `${path}: its name is not UTF-8: rename it` });
  if (!looked.ok) return looked.error.code === 'FileMissing' ? undefined : faulty(looked.error);
  const type = isLink ? (await calls.statfs(path).catch(() => undefined))?.type : fileSystem;
  const identity = identityOf(looked.value, type);
  const fresh = isFresh(identity, began, ended) ? { fresh: true as const } : {};
  return { name, sizeBytes: Number(looked.value.size), identity, ...fresh };
}

/**
 * By the time of the look at this file: that at its folder may take long. The clock that wrote the time may be another (NFS), a little ahead of ours; one that
 * is as far ahead as what is old is behind is wrong, and nothing is waited for.
 */
function isFresh(identity: string, beganMs: number, endedMs: number): boolean {
  const modified = modifiedMs(identity);
  return modified > beganMs - FRESH_MS && modified < endedMs + FRESH_MS;
}

/** Where a path leads, if that is outside of the roots. Other roots than its own are asked only where nothing else says that it is within. */
async function leadsOut(path: string, looking: Looking): Promise<string | undefined> {
  const { calls, roots, answered } = looking;
  const end = await calls.leadsTo(path);
  answered();
  if (isWithin(end, roots)) return undefined;
  const own = roots.filter((root) => isWithin(path, [root]));
  for (const root of own) {
    const rootEnd = await calls.leadsTo(root);
    answered();
    if (isWithin(end, [rootEnd])) return undefined;
  }
  for (const root of roots) {
    const rootEnd = own.includes(root) ? undefined : await endOfOther(root, looking);
    answered();
    if (rootEnd !== undefined && isWithin(end, [rootEnd])) return undefined;
  }
  return end;
}

/** Another folder that hangs must not hold this look: it is waited for once, and has what it said last, or undefined, until it answers. */
async function endOfOther(root: string, { calls, timeoutMs }: Looking): Promise<string | undefined> {
  const known: Led = led.get(root) ?? { late: false };
  led.set(root, known);
  if (known.late || hung.has(root)) return known.end;
  known.asking ??= calls.leadsTo(root).then((end) => void led.set(root, { end, late: false }));
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    setImmediate(() => {
      known.late = true;
      resolve();
    });
  }, timeoutMs / 2);
  await Promise.race([known.asking, late]);
  clearTimeout(timer);
  return led.get(root)?.end;
}

const outside = (path: string, end: string, roots: readonly string[]): string =>
  `${path} leads to ${end}, which is outside of storeRoots (${roots.join(', ')})`;
