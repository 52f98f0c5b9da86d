/** What this server gives to others: the files of versions that are right here, and what its container `work` has verified of those that it pulls. */
import { join } from 'node:path';
import { SHARED_FOLDERS } from '../control/config.ts';
import { type StoreProperties, shownOf } from '../store/propertycopies.ts';
import { EncodedManifests } from '../transfer/encoded.ts';
import { type Held, type Holdings, openVerified } from '../transfer/holdings.ts';
import { Manifests } from '../transfer/keep.ts';
import { ManifestMaker } from '../transfer/maker.ts';
import { LEAST_CHUNK_BYTES } from '../transfer/manifest.ts';
import { PullingReader, pullingFolder } from '../transfer/pulling.ts';
import type { ShownProperties } from '../transfer/wire.ts';
import type { RightFile } from './copies.ts';

type Kept = Awaited<ReturnType<Manifests['factsOf']>>;

export class HeldFiles implements Holdings {
  readonly #manifests: Manifests;
  readonly #encoded = new EncodedManifests();
  readonly #pulling: Holdings;
  /** By their digests. */
  #files: ReadonlyMap<string, RightFile> = new Map();
  #kept = new Map<string, Promise<Kept>>();
  readonly #reading = new Map<string, Promise<Held | undefined>>();
  #shown: readonly ShownProperties[] = [];
  /** By their digests. */
  #properties: ReadonlyMap<string, { readonly path: string; readonly identity: string }> = new Map();

  constructor({
    stateDirectory,
    storeRoots,
  }: { readonly stateDirectory: string; readonly storeRoots: readonly string[] }) {
    this.#manifests = new Manifests(stateDirectory);
    const folder = pullingFolder(join(stateDirectory, SHARED_FOLDERS.jobs));
    this.#pulling = new PullingReader({ folder, storeRoots, encoded: this.#encoded });
  }

  /** After each look into the stores. */
  set(right: readonly RightFile[]): void {
    this.#files = new Map(right.map((file) => [file.sha256, file]));
    this.#kept = new Map([...this.#kept].filter(([sha256]) => this.#files.has(sha256)));
  }

  /** After each look: the `.pvp` of versions that are right here. */
  setProperties(all: readonly StoreProperties[]): void {
    this.#shown = all.flatMap(shownOf);
    this.#properties = new Map(
      all.flatMap(({ folder, files }) =>
        files.flatMap(({ name, here }) =>
          here ? [[here.sha256, { path: join(folder, name), ...here }] as const] : [],
        ),
      ),
    );
  }

  properties(): readonly ShownProperties[] {
    return this.#shown;
  }

  async of(sha256: string): Promise<Held | undefined> {
    const file = this.#files.get(sha256);
    const kept = file && (await this.#factsOf(sha256));
    if (!kept) return this.#properties.has(sha256) ? this.#propertiesOnce(sha256) : this.#pulling.of(sha256);
    const { facts, path } = kept;
    return {
      ...{ manifest: facts, path: file.path, has: 'all' },
      open: () => openVerified(file),
      encoded: () => this.#encoded.of(path, facts.root),
    };
  }

  /** On a disk that hangs each holds one thread, whoever asks. */
  #propertiesOnce(sha256: string): Promise<Held | undefined> {
    const reading = this.#reading.get(sha256) ?? this.#propertiesOf(sha256).finally(() => this.#reading.delete(sha256));
    this.#reading.set(sha256, reading);
    return reading;
  }

  /** It is small: its manifest is made when it is asked for. */
  async #propertiesOf(sha256: string): Promise<Held | undefined> {
    const file = this.#properties.get(sha256);
    const opened = file && (await openVerified(file));
    if (!file || !opened?.ok) return undefined;
    await using handle = opened.value;
    const content = await handle.readFile();
    const maker = new ManifestMaker(content.length, LEAST_CHUNK_BYTES);
    maker.add(content);
    const manifest = maker.finish(sha256);
    const open = () => openVerified(file);
    return { ...{ manifest, path: file.path, has: 'all', open }, encoded: async () => manifest.encoded };
  }

  /** One that is not kept yet is looked for again. */
  #factsOf(sha256: string): Promise<Kept> {
    const known = this.#kept.get(sha256);
    if (known) return known;
    const kept = this.#manifests.factsOf(sha256);
    this.#kept.set(sha256, kept);
    void kept.then((found) => found ?? this.#kept.delete(sha256));
    return kept;
  }
}
