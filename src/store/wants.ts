/**
 * Which files a store of this server lacks, or has wrong, of what the farm says is right, and who may give them. Pure. The server writes it to a file
 * (`server/wants.ts`), which the container `work` reads and does (`work/mirror.ts`): both may be of another release.
 */
import { type Static, Type } from 'typebox';
import { isBootFile, keepsCopy, offersStore } from '../farm/files.ts';
import type { FarmSnapshot, Read, Store, VDisk, Version, VersionFile } from '../farm/model.ts';
import { formatOf } from '../image/formats.ts';
import { readJson } from '../kit/json.ts';
import type { Digest } from './digests.ts';
import { byName, type FileFacts, type Inventory } from './inventory.ts';

const name = Type.String({ pattern: '^[^/\\u0000]+$', minLength: 1, maxLength: 255 });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const whole = Type.Integer({ minimum: 0 });

const WantedFile = Type.Object({
  name,
  sha256,
  sizeBytes: whole,
  /** As `image/identity.ts` writes it: of the wrong file that lies there under its name. Another one is not touched. */
  replaces: Type.Optional(Type.String({ maxLength: 256 })),
  /** Files that may have much of it, the likeliest first; with their digests where they are known. `folder`: of another store of this server; absent: this one. */
  bases: Type.Array(
    Type.Object({
      name,
      sha256: Type.Optional(sha256),
      folder: Type.Optional(Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4_096 })),
    }),
    { maxItems: 16 },
  ),
});
export type WantedFile = Read<Static<typeof WantedFile>>;

/** Of so many one has it, or nobody. */
const MAX_SOURCES = 256;

const Source = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 253 }),
  host: Type.String({ minLength: 1, maxLength: 253 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
});

const StoreWants = Type.Object({
  store: Type.String({ minLength: 1, maxLength: 253 }),
  folder: Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4_096 }),
  /** Servers that offer the store, too, or one from which a vDisk moves here. */
  sources: Type.Array(Source, { maxItems: MAX_SOURCES }),
  parallel: Type.Integer({ minimum: 1, maximum: 16 }),
  bytesPerSecond: Type.Optional(whole),
  keepStaleSeconds: whole,
  /** Names of those that are here and right: what was put aside for them may go. */
  whole: Type.Array(name, { maxItems: 100_000 }),
  /** In the order in which they are taken. */
  files: Type.Array(WantedFile, { maxItems: 100_000 }),
});
export type StoreWants = Read<Static<typeof StoreWants>>;

/** In the state directory of the server, which writes it. */
export const WANTS_FILE = 'wants/wants.json';

/** Undefined: it is no list of wants; a file of it that is named as none of a version is left out. */
export const parseWants = (text: string): readonly StoreWants[] | undefined =>
  readJson(Type.Array(StoreWants), text)?.map((wants) => ({
    ...wants,
    files: wants.files.filter((file) => isCopyName(file.name)),
  }));

/** Of a file of a version: an image, a kernel, an initrd. Nothing else is ever written or put aside. */
export const isCopyName = (file: string): boolean => isBootFile(file) || formatOf(file) !== undefined;

const MAX_BASES = 4;

/** As a Store has them that says nothing: of a shared one, into which a vDisk moves. */
const SHARED_REPLICATION: NonNullable<Store['replication']> = { parallel: 2, keepStaleSeconds: 604_800 };

/** What a look into a store of this server found. */
export interface Looked {
  readonly store: string;
  readonly folder: string;
  readonly inventory: Inventory;
  readonly digestOf: (file: FileFacts) => Digest;
}

/** All servers see the same files in a shared store: one of them writes, and only what moves there. */
const writesShared = (store: Store, vdisk: VDisk, self: string): boolean =>
  vdisk.store === store.name && vdisk.moving?.by === self;

/** Does this server bring files into that store? */
export const writes = (store: Store, vdisks: readonly VDisk[], self: string): boolean =>
  store.shared ? vdisks.some((vdisk) => writesShared(store, vdisk, self)) : store.replication !== undefined;

/** Undefined: servers of this store do not give each other files, or nothing can be said of it now. `looked`: into all stores of this server. */
export function wantsIn(
  store: Store,
  folder: string,
  snapshot: FarmSnapshot,
  self: string,
  inventory: Inventory,
  digestOf: (file: FileFacts) => Digest,
  looked: readonly Looked[] = [],
): StoreWants | undefined {
  // A server only reads its stores: whether one may be written the container `work` finds out.
  if (!writes(store, snapshot.vdisks, self) || inventory.state === 'Unreachable') return undefined;
  if (inventory.state === 'Missing' && !inventory.isAbsent) return undefined;
  const { parallel, bytesPerSecond, keepStaleSeconds } = store.replication ?? SHARED_REPLICATION;
  const versions = versionsOf(store, snapshot);
  const elsewhere = looked.filter((one) => one.folder !== folder && leavingStores(store, snapshot).has(one.store));
  const there = byName(inventory);
  /** Asked once each: all that is said here is of one moment. */
  const known = new Map<string, Digest | undefined>();
  const here = (file: string): Digest | undefined => {
    const found = there.get(file);
    if (found && !found.fault && !known.has(file)) known.set(file, digestOf(found));
    return known.get(file);
  };
  const sources = sourcesOf(store, snapshot, self);
  const right = rightFiles(versions);
  const own = keptFiles(store, versions, snapshot, self);
  const isWhole = ({ name, sha256 }: VersionFile): boolean => {
    const digest = here(name);
    return digest?.kind === 'ready' && digest.sha256 === sha256;
  };
  const lacking = right.filter((file) => own.has(file.name) && !isWhole(file));
  const files = lacking.flatMap((file): WantedFile[] => {
    const same = elsewhere.flatMap((one) => sameIn(one, file));
    if (sources.length === 0 && same.length === 0) return [];
    const found = there.get(file.name);
    // What is no regular file is a person's, and so is what is written at this moment.
    if (found && (found.fault || found.fresh)) return [];
    const digest = here(file.name);
    if (digest?.kind === 'hashing' || (digest?.kind === 'failed' && digest.ours)) return [];
    const { name, sha256, sizeBytes } = file;
    const bases = [...same, ...basesOf(file, versions, here)];
    return [{ name, sha256, sizeBytes, ...(found ? { replaces: found.identity } : {}), bases }];
  });
  return {
    ...{ store: store.name, folder, sources, parallel, keepStaleSeconds, files },
    whole: right.filter(isWhole).map((file) => file.name),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
}

/** Those of which it is known what is right, and of which nobody said since that something else is; what machines boot, and the newest, first. */
const versionsOf = ({ name }: Store, { vdisks, versions }: FarmSnapshot): readonly Version[] => {
  const here = new Set(vdisks.filter(({ store }) => store === name).map((vdisk) => vdisk.name));
  return versions
    .filter(
      ({ vdisk, content, sha256 }) => content && here.has(vdisk) && (sha256 ?? content.manifest) === content.manifest,
    )
    .toSorted(
      (a, b) => Number(isDefault(b)) - Number(isDefault(a)) || b.number - a.number || (a.vdisk < b.vdisk ? -1 : 1),
    );
};

const isDefault = ({ access, settledAt }: Version): boolean => access === 'Production' && settledAt !== undefined;

/** Each once, a version's small ones first. One of which two versions say different things is neither's: each would replace what the other brought, for ever. */
function rightFiles(versions: readonly Version[]): readonly VersionFile[] {
  const files = versions.flatMap(({ content }) => (content?.files ?? []).toSorted((a, b) => a.sizeBytes - b.sizeBytes));
  const said = Map.groupBy(files, (file) => file.name);
  return [...said.values()].flatMap(([first, ...others]) =>
    first && isCopyName(first.name) && others.every((other) => other.sha256 === first.sha256) ? [first] : [],
  );
}

/** Of vDisks of which this server is to have a copy. What another one of them needs, too, it needs. */
function keptFiles(
  store: Store,
  versions: readonly Version[],
  { vdisks }: FarmSnapshot,
  self: string,
): ReadonlySet<string> {
  const keeps = (vdisk: VDisk): boolean => (store.shared ? writesShared(store, vdisk, self) : keepsCopy(vdisk, self));
  const kept = new Set(vdisks.filter(keeps).map(({ name }) => name));
  const own = versions.filter(({ vdisk }) => kept.has(vdisk));
  return new Set(own.flatMap(({ content }) => content?.files ?? []).map(({ name }) => name));
}

/** What lies there wrong, then files of the same kind of versions that are the nearest. */
function basesOf(
  wanted: VersionFile,
  versions: readonly Version[],
  here: (file: string) => Digest | undefined,
): WantedFile['bases'] {
  const kind = kindOf(wanted.name);
  const owner = versions.find(({ content }) => content?.files.some((file) => file.name === wanted.name));
  const others = versions
    .filter(({ vdisk }) => vdisk === owner?.vdisk)
    .toSorted((a, b) => Math.abs(a.number - (owner?.number ?? 0)) - Math.abs(b.number - (owner?.number ?? 0)))
    .flatMap(({ content }) => content?.files ?? [])
    .filter((file) => kindOf(file.name) === kind)
    .map((file) => file.name);
  return [...new Set([wanted.name, ...others])]
    .flatMap((file) => {
      const digest = here(file);
      return digest?.kind === 'ready' ? [{ name: file, sha256: digest.sha256 }] : [];
    })
    .slice(0, MAX_BASES);
}

const kindOf = (file: string): string => (isBootFile(file) ? file.slice(file.lastIndexOf('.')) : 'image');

/** Names of the stores from which vDisks move to this one. */
const leavingStores = ({ name }: Store, { vdisks }: Pick<FarmSnapshot, 'vdisks'>): ReadonlySet<string> =>
  new Set(vdisks.filter(({ store }) => store === name).flatMap(({ moving }) => moving?.from ?? []));

/** The very file, of this server: no other has to give it. */
function sameIn({ folder, inventory, digestOf }: Looked, { name, sha256 }: VersionFile): WantedFile['bases'] {
  const found = inventory.state === 'Unreachable' ? undefined : byName(inventory).get(name);
  const digest = found && !found.fault ? digestOf(found) : undefined;
  return digest?.kind === 'ready' && digest.sha256 === sha256 ? [{ name, sha256, folder }] : [];
}

const sourcesOf = (store: Store, snapshot: FarmSnapshot, self: string): StoreWants['sources'] => {
  const leaving = leavingStores(store, snapshot);
  const stores = snapshot.stores.filter(({ name }) => name === store.name || leaving.has(name));
  return snapshot.servers
    .filter((server) => server.name !== self && stores.some((one) => offersStore(one, server)))
    .map(({ name, address, ports }) => ({ name, host: address, port: ports.control }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, MAX_SOURCES);
};
