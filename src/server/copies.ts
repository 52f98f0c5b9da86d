/** The copies on this server: looks into the stores again and again, and says which versions it may serve. */
import { dirname, join } from 'node:path';
import type { CopyReport, StoreReport } from '../control/status.ts';
import type { Offer } from '../export/exports.ts';
import { fileNames, isWithin, offersStore, storePath } from '../farm/files.ts';
import type { FarmSnapshot, Store, VDisk, Version } from '../farm/model.ts';
import { storesOf } from '../farm/moving.ts';
import { SHARED_STORES, verifyTimes } from '../farm/shared.ts';
import { refKey, type VersionRef } from '../farm/token.ts';
import { Chunks } from '../store/chunks.ts';
import { contentOf, surestOf } from '../store/content.ts';
import { type Digest, Digests, VERIFY_EVERY_MS } from '../store/digests.ts';
import type { FileHasher } from '../store/hasher.ts';
import { byName, type FileFacts, type Inventory, noInventory, SERVER_CALLS } from '../store/inventory.ts';
import { Looks } from '../store/looks.ts';
import type { Owner } from '../store/mark.ts';
import { mountAt, mountName, readMounts } from '../store/mounted.ts';
import { propertyFile, type StoreProperties } from '../store/propertycopies.ts';
import { copyingOf, type Pulls } from '../store/pulls.ts';
import { copyFacts, unmanagedImages } from '../store/report.ts';
import { Tables } from '../store/tables.ts';
import { type StoreWants, wantsIn, writes } from '../store/wants.ts';
import { needBytes } from '../store/wants-room.ts';
import type { Logger } from '../telemetry/log.ts';
import { Wants } from './wants.ts';

/** A version of which a device may read the disk here. */
export interface Readable extends VersionRef {
  readonly sizeBytes: number;
}

/** A version whose files here are byte for byte what the farm says: a machine may boot it. */
export interface ServedCopy extends Readable {
  /** It lies in a store from which its vDisk moves, and machines go where it is right in the new one. */
  readonly isLeft?: true;
  readonly imagePath: string;
  /** The leaf table of its disk; absent: there is none (yet). */
  readonly table?: NonNullable<ReturnType<Digests['tableOf']>>;
  /** As they were when they were found right: the image first, then what it is a difference of. */
  readonly imageFiles: readonly FileFacts[];
  /** Names of all its files to their paths. */
  readonly files: ReadonlyMap<string, string>;
}

/** A file of a version that is right here, whether the rest of the version is or not. */
export interface RightFile {
  readonly path: string;
  readonly sha256: string;
  /** As `image/identity.ts` writes it. */
  readonly identity: string;
}

export interface CopiesOptions {
  readonly server: { readonly name: string; readonly site: string; readonly pool: string };
  readonly storeRoots: readonly string[];
  readonly stateDirectory: string;
  /** What is mounted on this node. Default: what the kernel says. */
  readonly mounts?: typeof readMounts;
  readonly snapshot: () => FarmSnapshot | undefined;
  /** After each look: what may be served, and of which versions an open disk may be kept. */
  readonly onLooked: (
    served: readonly ServedCopy[],
    offers: readonly Offer[],
    right: readonly RightFile[],
    properties: readonly StoreProperties[],
  ) => void;
  readonly log: Logger;
  readonly hasher?: FileHasher;
  /** The farm of this server: whose the folders of its stores are. */
  readonly owner?: Owner;
}

/** A look costs a readdir and a stat a file: often enough that a mended file is seen at once. */
const LOOK_MS = 1_000;

export class Copies {
  readonly #options: CopiesOptions;
  readonly #digests: Digests;
  readonly #looks: Looks;
  readonly #wants: Wants;
  #stores: readonly StoreReport[] = [];
  #reports: readonly CopyReport[] = [];
  #served: readonly ServedCopy[] = [];
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  constructor(options: CopiesOptions) {
    this.#options = options;
    const { stateDirectory, log } = options;
    this.#digests = new Digests(stateDirectory, log, {
      tables: new Tables(stateDirectory, log),
      chunks: new Chunks(stateDirectory, log),
      ...(options.hasher && { hasher: options.hasher }),
    });
    this.#looks = new Looks({
      roots: [...options.storeRoots, SHARED_STORES],
      owner: options.owner,
      calls: SERVER_CALLS,
    });
    this.#wants = new Wants(options.stateDirectory, options.log, options.owner);
  }

  get stores(): readonly StoreReport[] {
    return this.#stores;
  }
  get reports(): readonly CopyReport[] {
    return this.#reports;
  }
  get served(): readonly ServedCopy[] {
    return this.#served;
  }
  /** What comes of what this server lacks. */
  get pulls(): Pulls {
    return this.#wants.pulls;
  }
  get rottenChunks(): number {
    return this.#digests.rot.chunks;
  }
  find(vdisk: string, version: number): ServedCopy | undefined {
    return this.#served.find((copy) => copy.vdisk === vdisk && copy.version === version);
  }

  /** A table that is not what it was: it is made again. */
  tableLost(table: NonNullable<ServedCopy['table']>): Promise<void> {
    return this.#digests.tableLost(table);
  }

  async start(): Promise<void> {
    await this.#digests.load();
    await this.#wants.load();
    await this.look();
  }

  /** Looks now; a look that runs is shared. */
  look(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    clearTimeout(this.#timer);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (!this.#closed) this.#timer = setTimeout(() => void this.look(), LOOK_MS);
    });
    return this.#looking;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
    this.#looks.close();
    await this.#digests.close();
  }

  async #look(): Promise<void> {
    const snapshot = this.#options.snapshot();
    if (!snapshot) return;
    const offered = snapshot.stores.filter((store) => offersStore(store, this.#options.server));
    const looks = await Promise.all(
      offered.map(async (store) => {
        const path = storePath(store, this.#options.server.name);
        const digestOf = this.#digestsIn(snapshot, store, path);
        return { store, path, digestOf, inventory: await this.#inventory(store, path) };
      }),
    );
    await this.#want(snapshot, looks);
    this.#stores = looks.map(({ store, path, inventory = unseen(path) }) => {
      const { files, isWatched: _, ...state } = inventory;
      const unmanaged = unmanagedImages(versionsIn(snapshot, store), path, inventory);
      const there = { ...state, files: files.filter(({ fault }) => !fault).length, unmanaged };
      return { name: store.name, path, ...there, ...this.#needOf(store) };
    });
    const seen = looks.flatMap(({ inventory, ...look }) => (inventory ? [{ ...look, inventory }] : []));
    const copies = seen.flatMap(({ store, path, digestOf, inventory }) =>
      versionsIn(snapshot, store).map(({ vdisk, version }) => ({
        store,
        vdisk,
        version,
        path,
        inventory,
        facts: {
          ...copyFacts(vdisk, version, path, inventory, digestOf),
          store: store.name,
          ...this.#comingOf(store, version),
        },
      })),
    );
    this.#reports = copies.map(({ facts }) => facts);
    const properties = propertiesIn(snapshot, copies, this.#options.server.name);
    await this.#wants.setProperties(properties);
    const served = servedOf(copies).map((copy) => this.#withTable(copy));
    if (JSON.stringify(served.map(refKey)) !== JSON.stringify(this.#served.map(refKey)))
      this.#options.log.info({ copies: served.map(refKey) }, 'served copies changed');
    this.#served = served;
    this.#options.onLooked(served, this.#offers(snapshot, looks), this.#rightFiles(snapshot, looks), properties);
  }

  #rightFiles(snapshot: FarmSnapshot, looks: readonly Look[]): readonly RightFile[] {
    return looks.flatMap(({ store, path, digestOf, inventory }) => {
      const right = new Map(
        versionsIn(snapshot, store).flatMap(({ version }) =>
          (version.content?.files ?? []).map(({ name, sha256 }) => [name, sha256] as const),
        ),
      );
      return (inventory?.files ?? []).flatMap((file): RightFile[] => {
        const sha256 = right.get(file.name);
        const digest = sha256 === undefined || file.fault ? undefined : digestOf(file);
        if (sha256 === undefined || digest?.kind !== 'ready' || digest.sha256 !== sha256) return [];
        return [{ path: join(path, file.name), sha256, identity: file.identity }];
      });
    });
  }

  async #want(snapshot: FarmSnapshot, looks: readonly Look[]): Promise<void> {
    const { server } = this.#options;
    const seen = looks.flatMap(({ store, path, digestOf, inventory }) =>
      inventory ? [{ store: store.name, folder: path, inventory, digestOf }] : [],
    );
    const wantsOf = ({ store, path, digestOf, inventory }: Look): StoreWants | undefined =>
      inventory && wantsIn(store, path, snapshot, server.name, inventory, digestOf, seen);
    const own = looks.filter(({ store }) => writes(store, snapshot.vdisks, server.name));
    await this.#wants.set(new Map(own.map((look) => [look.store.name, wantsOf(look)])));
  }

  #needOf({ name }: Store): Pick<StoreReport, 'needBytes'> {
    const own = this.#wants.of(name);
    const bytes = own ? needBytes(own, this.#wants.pulls.pulls) : 0;
    return bytes > 0 ? { needBytes: bytes } : {};
  }

  #comingOf({ name }: Store, { content }: Version): Pick<CopyReport, 'copying'> {
    const own = this.#wants.of(name);
    const copying = content && own && copyingOf(content.files, own, this.#wants.pulls.pulls);
    return copying ? { copying } : {};
  }

  #digestsIn({ servers }: FarmSnapshot, store: Store, path: string, inUse = false): (file: FileFacts) => Digest {
    const { verifyEverySeconds = VERIFY_EVERY_MS / 1_000 } = store;
    const verifyEveryMs = verifyEverySeconds * 1_000 * verifyTimes(store, this.#options.server.name, servers);
    return (file) => this.#digests.of(path, file, verifyEveryMs, inUse);
  }

  #withTable(copy: ServedCopy): ServedCopy {
    const table = this.#digests.tableOf(dirname(copy.imagePath), copy.imageFiles);
    return table ? { ...copy, table } : copy;
  }

  #offers(snapshot: FarmSnapshot, looks: readonly Look[]): readonly Offer[] {
    const offers = looks.flatMap(({ store, path, inventory }) => {
      const digestOf = this.#digestsIn(snapshot, store, path, true);
      return versionsIn(snapshot, store).flatMap(({ version: { vdisk, number, content } }): Offer[] =>
        content
          ? [
              {
                vdisk,
                version: number,
                manifest: content.manifest,
                contentOf: (files) => contentOf(files, content.files, inventory, digestOf),
              },
            ]
          : [],
      );
    });
    // What moves may be open in any of its stores.
    return [...Map.groupBy(offers, refKey).values()].flatMap(([first, ...others]) =>
      first
        ? [{ ...first, contentOf: (files) => surestOf([first, ...others].map((one) => one.contentOf(files))) }]
        : [],
    );
  }

  #inventory({ shared }: Store, path: string): Promise<Inventory | undefined> | Inventory {
    const { storeRoots, mounts = readMounts } = this.#options;
    if (shared)
      return this.#looks.into(path, () => {
        const mount = mountAt(mounts(), path);
        return mount && mountName(mount);
      });
    if (isWithin(path, storeRoots)) return this.#looks.into(path);
    return noInventory(
      'Missing',
      `${path} is below none of spec.storeRoots of the StreamingServer (${storeRoots.join(', ') || 'none'}): add its root there`,
    );
  }
}

const unseen = (path: string): Inventory =>
  noInventory('Unreachable', `${path}: waits for the first look at it to end: its disk or mount is slow`);

const versionsIn = ({ vdisks, versions }: FarmSnapshot, store: Store) =>
  vdisks
    .filter((vdisk) => storesOf(vdisk).includes(store.name))
    .flatMap((vdisk) =>
      versions.filter((version) => version.vdisk === vdisk.name).map((version) => ({ vdisk, version })),
    );

/** One look at a store; without an inventory: none ended yet. */
interface Look {
  readonly store: Store;
  readonly path: string;
  readonly digestOf: (file: FileFacts) => Digest;
  readonly inventory: Inventory | undefined;
}

interface SeenCopy extends Pick<Look, 'store' | 'path'> {
  readonly vdisk: VDisk;
  readonly version: Version;
  readonly inventory: Inventory;
  readonly facts: CopyReport;
}

/** Of stores whose servers give each other files, of versions whose content is right here; of what moves also where it was, for the store where it is to be. */
function propertiesIn(
  { stores, vdisks }: FarmSnapshot,
  copies: readonly SeenCopy[],
  self: string,
): readonly StoreProperties[] {
  const right = copies.filter(
    ({ store, vdisk, version, facts, inventory }) =>
      (vdisk.moving || writes(store, vdisks, self)) && !inventory.foreign && isRight(facts, version),
  );
  return stores.flatMap(({ name }) => {
    const own = right.filter(({ store, vdisk }) => vdisk.store === name || store.name === name);
    return [...Map.groupBy(own, ({ path }) => path)].map(([folder, found]) => ({
      store: name,
      folder,
      files: found.flatMap(({ vdisk, version, inventory }) => {
        const file = `${fileNames(vdisk.fileName, version.number).stem}.pvp`;
        return propertyFile(file, byName(inventory).get(file)) ?? [];
      }),
    }));
  });
}

const isRight = ({ state, manifest }: CopyReport, { content }: Version): boolean =>
  state === 'Present' && manifest !== undefined && manifest === content?.manifest;

/** Each once; of what moves that in the store where it is to be, as soon as it is right there. */
function servedOf(copies: readonly SeenCopy[]): readonly ServedCopy[] {
  const inOrder = copies.toSorted((a, b) => Number(isLeaving(a)) - Number(isLeaving(b)));
  const all = inOrder.flatMap(servedCopy);
  return [...Map.groupBy(all, refKey).values()].flatMap(([first]) => first ?? []);
}

const isLeaving = ({ store, vdisk }: SeenCopy): boolean => vdisk.store !== store.name;

function servedCopy({ store, vdisk, version, path: folder, facts, inventory }: SeenCopy): ServedCopy[] {
  const { manifest, files } = facts;
  const [image] = files;
  if (!isRight(facts, version) || !image || manifest === undefined) return [];
  return [
    {
      vdisk: facts.vdisk,
      version: facts.version,
      manifest,
      ...(vdisk.moving?.arrived !== undefined && vdisk.store !== store.name ? { isLeft: true as const } : {}),
      imagePath: join(folder, image.name),
      imageFiles: files.flatMap(({ name }) => byName(inventory).get(name) ?? []).filter(({ image }) => image),
      sizeBytes: facts.diskBytes,
      files: new Map(files.map(({ name }) => [name, join(folder, name)])),
    },
  ];
}
