/**
 * Which files a store of this server lacks, or has wrong, of what the farm says is right, and who may give them. Pure. The server writes it to a file
 * (`server/wants.ts`), which the container `work` reads and does (`work/mirror.ts`): both may be of another release.
 */
import { type Static, Type } from 'typebox';
import { isBootFile, keepsCopy, offersStore } from '../farm/files.ts';
import type { FarmSnapshot, Read, Server, Store, Version, VersionFile } from '../farm/model.ts';
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
  /** Files of the folder that may have much of it, the likeliest first; with their digests where they are known. */
  bases: Type.Array(Type.Object({ name, sha256: Type.Optional(sha256) }), { maxItems: 16 }),
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
  /** Servers that offer the store, too. */
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

/** Undefined: servers of this store do not give each other files, or nothing can be said of it now. */
export function wantsIn(
  store: Store,
  folder: string,
  snapshot: FarmSnapshot,
  self: string,
  inventory: Inventory,
  digestOf: (file: FileFacts) => Digest,
): StoreWants | undefined {
  const { replication } = store;
  // A server only reads its stores: whether one may be written the container `work` finds out.
  // All servers see the same files in a shared one.
  if (!replication || store.shared || inventory.state === 'Unreachable') return undefined;
  if (inventory.state === 'Missing' && !inventory.isAbsent) return undefined;
  const { parallel, bytesPerSecond, keepStaleSeconds } = replication;
  const versions = versionsOf(store, snapshot);
  const there = byName(inventory);
  /** Asked once each: all that is said here is of one moment. */
  const known = new Map<string, Digest | undefined>();
  const here = (file: string): Digest | undefined => {
    const found = there.get(file);
    if (found && !found.fault && !known.has(file)) known.set(file, digestOf(found));
    return known.get(file);
  };
  const sources = sourcesOf(store, snapshot.servers, self);
  const right = rightFiles(versions);
  const own = keptFiles(versions, snapshot, self);
  const isWhole = ({ name, sha256 }: VersionFile): boolean => {
    const digest = here(name);
    return digest?.kind === 'ready' && digest.sha256 === sha256;
  };
  const lacking = sources.length === 0 ? [] : right.filter((file) => own.has(file.name) && !isWhole(file));
  const files = lacking.flatMap((file): WantedFile[] => {
    const found = there.get(file.name);
    // What is no regular file is a person's, and so is what is written at this moment.
    if (found && (found.fault || found.fresh)) return [];
    const digest = here(file.name);
    if (digest?.kind === 'hashing' || (digest?.kind === 'failed' && digest.ours)) return [];
    const { name, sha256, sizeBytes } = file;
    return [
      { name, sha256, sizeBytes, ...(found ? { replaces: found.identity } : {}), bases: basesOf(file, versions, here) },
    ];
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
function keptFiles(versions: readonly Version[], { vdisks }: FarmSnapshot, self: string): ReadonlySet<string> {
  const kept = new Set(vdisks.filter((vdisk) => keepsCopy(vdisk, self)).map(({ name }) => name));
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

const sourcesOf = (store: Store, servers: readonly Server[], self: string): StoreWants['sources'] =>
  servers
    .filter((server) => server.name !== self && offersStore(store, server))
    .map(({ name, address, ports }) => ({ name, host: address, port: ports.control }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, MAX_SOURCES);
