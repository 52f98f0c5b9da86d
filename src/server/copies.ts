/** The copies on this server: looks into the stores again and again, and says which versions it may serve. */
import { join } from 'node:path';
import type { CopyReport, StoreReport } from '../control/status.ts';
import { offersStore, storePath } from '../farm/files.ts';
import type { FarmSnapshot, Version } from '../farm/model.ts';
import { Digests } from '../store/digests.ts';
import type { Inventory } from '../store/inventory.ts';
import { Looks } from '../store/looks.ts';
import { copyFacts } from '../store/report.ts';
import type { Logger } from '../telemetry/log.ts';

/** A version whose files here are byte for byte what the farm says. */
export interface ServedCopy {
  readonly vdisk: string;
  readonly version: number;
  readonly manifest: string;
  readonly imagePath: string;
  readonly sizeBytes: number;
  /** Names of all its files to their paths. */
  readonly files: ReadonlyMap<string, string>;
}

export interface CopiesOptions {
  readonly server: { readonly name: string; readonly site: string; readonly pool: string };
  readonly storeRoots: readonly string[];
  readonly stateDirectory: string;
  readonly snapshot: () => FarmSnapshot | undefined;
  readonly onServed: (copies: readonly ServedCopy[]) => void;
  readonly log: Logger;
}

/** A look costs a readdir and a stat a file: often enough that a mended file is seen at once. */
const LOOK_MS = 1_000;

export class Copies {
  readonly #options: CopiesOptions;
  readonly #digests: Digests;
  readonly #looks = new Looks();
  #stores: readonly StoreReport[] = [];
  #reports: readonly CopyReport[] = [];
  #served: readonly ServedCopy[] = [];
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  constructor(options: CopiesOptions) {
    this.#options = options;
    this.#digests = new Digests(options.stateDirectory, options.log);
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
  find(vdisk: string, version: number): ServedCopy | undefined {
    return this.#served.find((copy) => copy.vdisk === vdisk && copy.version === version);
  }

  async start(): Promise<void> {
    await this.#digests.load();
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
    await this.#digests.close();
  }

  async #look(): Promise<void> {
    const snapshot = this.#options.snapshot();
    if (!snapshot) return;
    const offered = snapshot.stores.filter((store) => offersStore(store, this.#options.server));
    const looks = await Promise.all(
      offered.map(async (store) => {
        const path = storePath(store, this.#options.server.name);
        return { store, path, inventory: await this.#inventory(path) };
      }),
    );
    this.#stores = looks.map(({ store, path, inventory = unseen(path) }) => {
      const { files, ...state } = inventory;
      return { name: store.name, path, ...state, files: files.filter(({ fault }) => !fault).length };
    });

    const seen = looks.flatMap(({ inventory, ...look }) => (inventory ? [{ ...look, inventory }] : []));
    const copies = seen.flatMap(({ store, path, inventory }) =>
      snapshot.vdisks
        .filter((vdisk) => vdisk.store === store.name)
        .flatMap((vdisk) =>
          snapshot.versions.filter((version) => version.vdisk === vdisk.name).map((version) => ({ vdisk, version })),
        )
        .map(({ vdisk, version }) => ({
          version,
          path,
          facts: copyFacts(vdisk, version, path, inventory, (file) => this.#digests.of(path, file)),
        })),
    );
    this.#reports = copies.map(({ facts }) => facts);
    const served = copies.flatMap(({ version, path, facts }) => servedCopy(version, path, facts));
    if (JSON.stringify(served.map(keyOf)) === JSON.stringify(this.#served.map(keyOf))) return;
    this.#served = served;
    this.#options.log.info({ copies: served.map(keyOf) }, 'served copies changed');
    this.#options.onServed(served);
  }

  #inventory(path: string): Promise<Inventory | undefined> | Inventory {
    const { storeRoots } = this.#options;
    if (storeRoots.some((root) => path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`)))
      return this.#looks.into(path);
    return {
      state: 'Missing',
      freeBytes: 0,
      totalBytes: 0,
      files: [],
      message: `${path} is below none of spec.storeRoots of the StreamingServer (${storeRoots.join(', ') || 'none'}): add its root there`,
    };
  }
}

const unseen = (path: string): Inventory => ({
  state: 'Unreachable',
  freeBytes: 0,
  totalBytes: 0,
  files: [],
  message: `${path}: waits for the first look at it to end: its disk or mount is slow`,
});

const keyOf = (copy: ServedCopy): string => `${copy.vdisk}/${copy.version}@${copy.manifest}`;

function servedCopy(version: Version, folder: string, facts: CopyReport): ServedCopy[] {
  const { manifest, files } = facts;
  const [image] = files;
  if (facts.state !== 'Present' || !image || manifest === undefined || manifest !== version.content?.manifest)
    return [];
  return [
    {
      vdisk: facts.vdisk,
      version: facts.version,
      manifest,
      imagePath: join(folder, image.name),
      sizeBytes: facts.diskBytes,
      files: new Map(files.map(({ name }) => [name, join(folder, name)])),
    },
  ];
}
