/**
 * What one process pulls, told to another that gives it on: by files, since the one may write to stores and the other is heard on the network.
 *
 * ```
 * SHA256.json    path, inode and root: written last, removed first      SHA256.chunks   the encoded manifest
 * SHA256.bits    a bit a chunk, the highest first, written over as more are here: bits are only added, so any moment of it is true
 * ```
 *
 * One that is whole has its identity there instead of bits, until who gives has read it himself.
 */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { isWithin } from '../farm/files.ts';
import { identityOf } from '../image/identity.ts';
import { leadsTo, openRegular, PARTIAL } from '../kit/file.ts';
import { readJson } from '../kit/json.ts';
import { inTime } from '../kit/patience.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { shared } from '../kit/shared.ts';
import type { EncodedManifests } from './encoded.ts';
import {
  bitmapBytesOf,
  bitmapOf,
  type Held,
  type Holdings,
  type Offer,
  type Offers,
  openVerified,
} from './holdings.ts';
import { headOf } from './keep.ts';
import { decodeHead } from './manifest.ts';

/** How often what came since is told, and looked at. */
const EVERY_MS = 250;
const MAX_RECORD_BYTES = 8 << 10;
const MAX_PATH_CHARACTERS = 4_095;
/** Files that are remembered: more are not pulled at once. */
const MAX_LOOKS = 64;
/** So long a folder is waited for. */
const PATIENCE_MS = 2_000;

const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Pulling = Type.Object({
  /** Of the file that is written. */
  path: Type.String({ pattern: '^/', maxLength: MAX_PATH_CHARACTERS }),
  /** Another file by that name has nothing of it. */
  inode: Type.String({ pattern: '^[0-9]{1,20}$' }),
  /** As `image/identity.ts` writes it: all of it was verified, it has its name, and nothing changed since. */
  whole: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  /** Of its manifest. */
  root: Digest,
});
type Pulling = Static<typeof Pulling>;

const filesOf = (folder: string, sha256: string) => ({
  record: join(folder, `${sha256}.json`),
  encoded: join(folder, `${sha256}.chunks`),
  bits: join(folder, `${sha256}.bits`),
});

/** In the folder of jobs, which the container `work` writes and the server reads. */
export const pullingFolder = (jobsFolder: string): string => join(jobsFolder, 'pulls');

/** What processes that are gone have left. Before any begins. */
export function clearPulling(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Of one that was whole: who gives has read it himself by now. */
export function forgetPulled(folder: string, sha256: string): void {
  const { record, encoded } = filesOf(folder, sha256);
  for (const path of [record, encoded]) rmSync(path, { force: true });
}

/** Tells of what this process pulls. What cannot be written is not given on, and no reason to end a pull. */
export class PullingWriter implements Offers {
  readonly #folder: string;
  readonly #onFault: (error: unknown) => void;

  constructor(folder: string, onFault: (error: unknown) => void = () => undefined) {
    this.#folder = folder;
    this.#onFault = onFault;
  }

  offer(offer: Offer): () => void {
    const files = filesOf(this.#folder, offer.manifest.sha256);
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        this.#onFault(error);
      }
    };
    let bits = bitmapOf(offer.has);
    let fd: number | undefined;
    attempt(() => {
      mkdirSync(this.#folder, { recursive: true });
      this.#forget(offer);
      writeFileSync(files.encoded, offer.manifest.encoded);
      rmSync(files.bits, { force: true }); // another may still write to it
      fd = openSync(files.bits, 'wx');
      writeSync(fd, bits, 0, bits.length, 0);
      writeRecord(files.record, offer);
    });
    const tell = (): void => {
      const now = bitmapOf(offer.has);
      if (fd === undefined || now.equals(bits)) return;
      writeSync(fd, now, 0, now.length, 0);
      bits = now;
    };
    const timer = setInterval(() => attempt(tell), EVERY_MS).unref();
    return () =>
      attempt(() => {
        clearInterval(timer);
        if (fd !== undefined) closeSync(fd);
        fd = undefined;
        for (const path of [files.record, files.bits, files.encoded]) rmSync(path, { force: true });
      });
  }

  /** All of it is here, verified, and has its name. Until `forgetPulled`. */
  whole({ manifest, path }: Pick<Offer, 'manifest' | 'path'>): void {
    const { record, encoded } = filesOf(this.#folder, manifest.sha256);
    try {
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(encoded, manifest.encoded);
      writeRecord(record, { manifest, path }, identityOf(statSync(path, { bigint: true })));
    } catch (error) {
      this.#onFault(error);
    }
  }

  /** What is said of this file, or of what was pulled to that place before. */
  #forget({ manifest, path }: Offer): void {
    for (const name of readdirSync(this.#folder)) {
      if (!name.endsWith('.json')) continue;
      const record = join(this.#folder, name);
      if (name === `${manifest.sha256}.json` || readJson(Pulling, readFileSync(record, 'utf8'))?.path === path)
        rmSync(record, { force: true });
    }
  }
}

function writeRecord(to: string, { manifest: { root }, path }: Pick<Offer, 'manifest' | 'path'>, whole?: string): void {
  const inode = String(statSync(path, { bigint: true }).ino);
  writeFileSync(to + PARTIAL, JSON.stringify({ path, inode, root, ...(whole && { whole }) } satisfies Pulling));
  renameSync(to + PARTIAL, to);
}

export interface PullingReaderOptions {
  readonly folder: string;
  /** Files elsewhere are given by nobody's word. */
  readonly storeRoots: readonly string[];
  readonly encoded: EncodedManifests;
  readonly leadsTo?: typeof leadsTo;
}

/** One question at a time of each folder, so that one that hangs holds one thread; while it does, the others get undefined. */
class Patient {
  readonly #asked = new Map<string, Promise<unknown>>();
  readonly #late = new Set<string>();

  async ask<T>(folder: string, question: () => Promise<T | undefined>): Promise<T | undefined> {
    if (this.#late.has(folder)) return undefined;
    const answer = (this.#asked.get(folder) ?? Promise.resolve()).then(question);
    const settled = answer
      .catch(() => undefined)
      .then(() => {
        this.#late.delete(folder);
        if (this.#asked.get(folder) === settled) this.#asked.delete(folder);
      });
    this.#asked.set(folder, settled);
    const lateOf = () => void this.#late.add(folder);
    const timer = setTimeout(lateOf, PATIENCE_MS);
    return inTime(
      answer.finally(() => clearTimeout(timer)),
      PATIENCE_MS,
    );
  }
}

/** What another process says that it pulls, judged as what anybody says. */
export class PullingReader implements Holdings {
  readonly #options: PullingReaderOptions;
  readonly #disks = new Patient();
  /** Who was asked for last is last. */
  readonly #looks = new Map<string, () => Promise<Held | undefined>>();

  constructor(options: PullingReaderOptions) {
    this.#options = options;
  }

  of(sha256: string): Promise<Held | undefined> {
    const look = this.#looks.get(sha256) ?? shared(() => this.#look(sha256), EVERY_MS);
    this.#looks.delete(sha256);
    this.#looks.set(sha256, look);
    for (const oldest of this.#looks.keys()) {
      if (this.#looks.size <= MAX_LOOKS) break;
      this.#looks.delete(oldest);
    }
    return look();
  }

  async #look(sha256: string): Promise<Held | undefined> {
    if (!Value.Check(Digest, sha256)) return undefined;
    const { folder, encoded } = this.#options;
    const files = filesOf(folder, sha256);
    const record = readJson(Pulling, (await readUpTo(files.record, MAX_RECORD_BYTES))?.toString() ?? '');
    if (!record) return undefined;
    const head = decodeHead(await headOf(files.encoded));
    if (!head.ok || head.value.sha256 !== sha256) return undefined;
    const { root, inode, whole } = record;
    const manifest = { ...head.value, root };
    if (whole !== undefined) {
      const path = await this.#placeOf(record.path, (place) => openVerified({ path: place, identity: whole }));
      if (path === undefined) return undefined;
      const open = () => openVerified({ path, identity: whole });
      return { ...{ manifest, path, has: 'all', open }, encoded: () => encoded.of(files.encoded, root) };
    }
    const length = bitmapBytesOf(manifest.chunks);
    const has = await readUpTo(files.bits, length);
    if (has?.length !== length || !record.path.endsWith(PARTIAL)) return undefined;
    const path = await this.#placeOf(record.path, (place) => openItself(place, inode));
    if (path === undefined) return undefined;
    return {
      ...{ manifest, path, has, open: () => openItself(path, inode) },
      encoded: () => encoded.of(files.encoded, root),
    };
  }

  /** Where it leads to; undefined: to no file that may be given, to another by now, or its disk hangs. */
  async #placeOf(
    path: string,
    open: (place: string) => Promise<Result<FileHandle, unknown>>,
  ): Promise<string | undefined> {
    const place = await this.#disks.ask(dirname(path), async () => {
      const end = await realpath(path).catch(() => undefined);
      const opened = end === undefined ? undefined : await open(end);
      if (!opened?.ok) return undefined;
      await opened.value.close();
      return end;
    });
    return place !== undefined && (await this.#isInStores(path, place)) ? place : undefined;
  }

  /** Another root is asked only where its own does not say so: it may hang. */
  async #isInStores(path: string, place: string): Promise<boolean> {
    const { storeRoots, leadsTo: ask = leadsTo } = this.#options;
    const own = storeRoots.filter((root) => isWithin(path, [root]));
    for (const root of [...own, ...storeRoots.filter((other) => !own.includes(other))]) {
      const end = await this.#disks.ask(root, () => ask(root));
      if (end !== undefined && isWithin(place, [end])) return true;
    }
    return false;
  }
}

/** No link: it may lead to what this process may read and nobody else. */
async function openItself(path: string, inode: string): Promise<Result<FileHandle, { readonly message: string }>> {
  const opened = await openRegular(path, constants.O_NOFOLLOW);
  if (!opened.ok) return opened;
  const { file, stats } = opened.value;
  if (String(stats.ino) === inode) return ok(file);
  await file.close();
  return fail('FileChanged', `${path} is another file than the one that is being pulled`);
}

/** Undefined: it is not there, is longer, or is no file. */
async function readUpTo(path: string, maxBytes: number): Promise<Buffer | undefined> {
  const opened = await openRegular(path, constants.O_NOFOLLOW);
  if (!opened.ok) return undefined;
  await using file = opened.value.file;
  const length = Number(opened.value.stats.size);
  if (length > maxBytes) return undefined;
  const read = await file.read(Buffer.alloc(length), 0, length, 0).catch(() => undefined);
  return read?.buffer.subarray(0, read.bytesRead);
}
