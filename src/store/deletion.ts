/** Removing the files of one version, as a person says, and the rules by which it refuses. Pure but for `removeVersion`. */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileNames, storePath } from '../farm/files.ts';
import type { FarmSnapshot, Session } from '../farm/model.ts';
import { storesOf } from '../farm/moving.ts';
import type { WorkFault } from '../image/copy.ts';
import type { ImageFacts } from '../image/disk.ts';
import { formatOf, stemOf } from '../image/formats.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { leadsTo } from '../kit/file.ts';
import { inTime } from '../kit/patience.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { inUnits } from '../kit/units.ts';
import { alone } from './alone.ts';
import { type FileFacts, type Inventory, lookInto } from './inventory.ts';
import type { Owner } from './mark.ts';
import type { VDiskFiles } from './versions.ts';

/** What the farm knows: of its database, or of a replica. */
export interface FarmKnowledge {
  readonly snapshot: Pick<FarmSnapshot, 'stores' | 'vdisks' | 'versions' | 'overrides'>;
  /** Those that have not ended. */
  readonly sessions: readonly Pick<Session, 'device' | 'vdisk' | 'version'>[];
  /** What the operator recorded last of each; of a version that no VDisk names, when one named it. */
  readonly copies: readonly {
    readonly server: string;
    readonly vdisk: string;
    readonly version: number;
    readonly state: string;
  }[];
}

export interface Deletion {
  readonly vdisk: VDiskFiles;
  readonly number: number;
  /** Or why nobody could be asked. */
  readonly farm: Result<FarmKnowledge, Fault>;
  /** A person says that it need not be anywhere any more. */
  readonly lastCopy: boolean;
  /** Whose this server is. Absent: it is not known, and whose the folder is is not asked. */
  readonly owner?: Owner | undefined;
}

/**
 * In the order in which they are asked: the name has a number already, no such version, another farm has the folder, nobody can be asked, a VDisk names it, a rollback does, machines use it, other images are differences of
 * it, it may be the last copy.
 */
export type DeletionFault = Fault<
  | 'NumberTwice'
  | 'FileMissing'
  | 'StoreForeign'
  | 'FarmUnknown'
  | 'Named'
  | 'RolledBackTo'
  | 'InUse'
  | 'IsParent'
  | 'LastCopy'
>;

/** The files of that version that go, or why none does. The image goes last: what broke off before it can be done again. */
export function judgeDeletion(deletion: Deletion, folder: Inventory): Result<readonly FileFacts[], DeletionFault> {
  const { vdisk, number, farm, lastCopy } = deletion;
  const what = `version ${number} of ${vdisk.fileName} in ${vdisk.folder}`;
  if (/\.\d+$/.test(vdisk.fileName))
    return fail('NumberTwice', `${vdisk.fileName} ends as a version does: name the vDisk, and the number by itself`);
  const files = filesOf(vdisk, number, folder.files);
  const images = files.filter(({ name }) => formatOf(name));
  if (images.length === 0) return fail('FileMissing', `there is no ${what}: ${folder.message || 'nothing is removed'}`);
  if (folder.foreign) return fail('StoreForeign', `${what} stays: ${folder.message}`);
  if (!farm.ok)
    return fail(
      'FarmUnknown',
      `${what} stays: neither the farm database nor its replica says who uses it (${farm.error.message}): try again when one of them answers`,
    );
  const { snapshot, sessions, copies } = farm.value;
  const names = namesOf(snapshot, vdisk);
  const named = [
    ...snapshot.versions
      .filter((version) => names.has(version.vdisk) && version.number === number)
      .map((one) => one.vdisk),
    ...snapshot.vdisks
      .filter(({ name, bootVersion }) => names.has(name) && bootVersion === number)
      .map(({ name }) => name),
  ];
  if (named[0] !== undefined)
    return fail(
      'Named',
      `${what} stays: the spec of VDisk ${named[0]} names it (versions, bootVersion): take it out first`,
    );
  const override = snapshot.overrides.find((one) => names.has(one.vdisk) && one.version === number);
  if (override)
    return fail(
      'RolledBackTo',
      `${what} stays: a rollback of VDisk ${override.vdisk} boots it: end that first by \`bootfarm rollback --clear --vdisk ${override.vdisk}\``,
    );
  const devices = sessions.filter((one) => names.has(one.vdisk) && one.version === number).map(({ device }) => device);
  if (devices.length > 0)
    return fail('InUse', `${what} stays: ${someOf(devices)} use it: let them boot another version first`);
  const children = childrenOf(files, folder.files);
  if (children.length > 0)
    return fail('IsParent', `${what} stays: ${someOf(children)}: merge or remove what needs it first`);
  if (lastCopy) return ok(inOrder(files, images));
  if (names.size === 0)
    return fail(
      'LastCopy',
      `${what} stays: ${whoKnows('no VDisk has these files: what other servers have is not known')}`,
    );
  if (snapshot.stores.some((store) => store.shared && storePath(store, '') === vdisk.folder))
    return fail(
      'LastCopy',
      `${what} stays: ${whoKnows('its store is shared: what other servers have of it is this very file')}`,
    );
  if (!folder.isWatched)
    return fail(
      'LastCopy',
      `${what} stays: ${whoKnows('its file system may be one of a network: what other servers have of it may be this very file')}`,
    );
  const right = rightCopies(copies, names, number);
  if (right.length > 1) return ok(inOrder(files, images));
  const known =
    right.length === 1 ? `the farm knows of one right copy, on ${right[0]}` : 'the farm knows of no right copy';
  return fail('LastCopy', `${what} stays: ${whoKnows(known)}`);
}

/** The image goes last. */
const inOrder = (files: readonly FileFacts[], images: readonly FileFacts[]): readonly FileFacts[] => [
  ...files.filter((file) => !images.includes(file)),
  ...images,
];

const whoKnows = (known: string): string =>
  `it may be the last good copy (${known}): say --last-copy if it need not be anywhere any more`;

/** Content is all there is to it: properties keep nothing from being served. */
const RIGHT: readonly string[] = ['UpToDate', 'PropertiesMissing', 'PropertiesOutOfDate'];

/** Servers that have that version right, of the VDisks of these names. What is said of one that does not answer is old: it does not count. */
export function rightCopies(
  copies: FarmKnowledge['copies'],
  names: ReadonlySet<string>,
  number: number,
): readonly string[] {
  const away = new Set(copies.filter(({ state }) => state === 'ServerUnreachable').map(({ server }) => server));
  const right = copies.filter(
    ({ server, vdisk, version, state }) =>
      names.has(vdisk) && version === number && RIGHT.includes(state) && !away.has(server),
  );
  return [...new Set(right.map(({ server }) => server))];
}

/** Names of the stores that may be in this folder. */
export const storesAt = (stores: FarmSnapshot['stores'], folder: string): ReadonlySet<string> =>
  new Set(
    stores
      .filter((store) => ['', ...Object.keys(store.local.nodes)].some((server) => storePath(store, server) === folder))
      .map(({ name }) => name),
  );

/** Of the VDisks whose files these are, also of those that move from here. */
export function namesOf(
  { stores, vdisks }: Pick<FarmSnapshot, 'stores' | 'vdisks'>,
  { folder, fileName }: VDiskFiles,
): ReadonlySet<string> {
  const here = storesAt(stores, folder);
  const isHere = (one: FarmSnapshot['vdisks'][number]): boolean => storesOf(one).some((store) => here.has(store));
  return new Set(vdisks.filter((one) => one.fileName === fileName && isHere(one)).map(({ name }) => name));
}

/** A disk that hangs. */
const LEAD_MS = 5_000;

/** With the folders to which paths of stores lead here: by a link two stores may have one. Where one does not answer nothing is known. */
export async function ledSnapshot<Known extends { readonly snapshot: Pick<FarmSnapshot, 'stores'> }>(
  vdisk: VDiskFiles,
  farm: Result<Known, Fault>,
): Promise<{ readonly vdisk: VDiskFiles; readonly farm: Result<Known, Fault> }> {
  if (!farm.ok) return { vdisk, farm };
  const { stores } = farm.value.snapshot;
  const paths = stores
    .filter(({ shared }) => !shared)
    .flatMap(({ local }) => [local.path, ...Object.values(local.nodes)]);
  const led = new Map<string, string>();
  for (const path of new Set([vdisk.folder, ...paths])) {
    const end = await inTime(leadsTo(path), LEAD_MS);
    if (end === undefined)
      return { vdisk, farm: fail('StoreSilent', `${path} did not answer within ${LEAD_MS / 1_000} s: check its disk`) };
    led.set(path, end);
  }
  const endOf = (path: string): string => led.get(path) ?? path;
  const ledStores = stores.map((store) => ({
    ...store,
    local: {
      path: endOf(store.local.path),
      nodes: Object.fromEntries(Object.entries(store.local.nodes).map(([node, path]) => [node, endOf(path)])),
    },
  }));
  return {
    vdisk: { ...vdisk, folder: endOf(vdisk.folder) },
    farm: ok({ ...farm.value, snapshot: { ...farm.value.snapshot, stores: ledStores } }),
  };
}

/** Image, kernel, initrd and properties. */
function filesOf({ fileName }: VDiskFiles, number: number, there: readonly FileFacts[]): readonly FileFacts[] {
  const { stem, kernel, initrd } = fileNames(fileName, number);
  return there.filter(
    ({ name }) => stemOf(name) === stem || name === kernel || name === initrd || name === `${stem}.pvp`,
  );
}

/** Images that need one of these, or of which nobody knows it, in words. */
export function childrenOf(files: readonly FileFacts[], there: readonly FileFacts[]): readonly string[] {
  return there
    .filter((file) => !files.includes(file) && formatOf(file.name)?.differencing !== undefined)
    .flatMap(({ name, fault, image }) => {
      if (!image?.ok)
        return [
          `${name} cannot be read (${(image?.error ?? fault)?.message ?? 'why, nobody knows'}) and may be a difference of it`,
        ];
      return files.some((file) => isParent(image.value, file)) ? [`${name} is a difference of it`] : [];
    });
}

/** By its identifier; by its name where one of them has none, or where it cannot be read. */
function isParent({ parent }: ImageFacts, { name, image }: FileFacts): boolean {
  if (!parent) return false;
  const id = image?.ok ? image.value.id : undefined;
  if (parent.ids !== undefined && id !== undefined) return parent.ids.includes(id);
  return parent.names.some((hint) => hint.toLowerCase() === name.toLowerCase());
}

const NAMED = 3;
export const someOf = (all: readonly string[]): string =>
  `${all.slice(0, NAMED).join(', ')}${all.length > NAMED ? ` and ${all.length - NAMED} more` : ''}`;

export interface Removed {
  readonly files: readonly { readonly name: string; readonly sizeBytes: number }[];
}

/** `onJudged`: what goes, in words, before it does. `dryRun`: it does not. */
export const removeVersion = (
  deletion: Deletion,
  { dryRun, onJudged }: { readonly dryRun: boolean; readonly onJudged: (words: readonly string[]) => void },
): Promise<Result<Removed, DeletionFault | WorkFault | Fault<'WriteFailed'>>> =>
  alone(deletion.vdisk.folder, async (): Promise<Result<Removed, DeletionFault | Fault<'WriteFailed'>>> => {
    const { folder } = deletion.vdisk;
    const led = await ledSnapshot(deletion.vdisk, deletion.farm);
    const judged = judgeDeletion({ ...deletion, ...led }, await lookInto(folder, { owner: deletion.owner }));
    if (!judged.ok) return judged;
    onJudged(judged.value.map(({ name, sizeBytes }) => `${join(folder, name)}, ${inUnits(sizeBytes)}`));
    const removed = await removeFiles(folder, dryRun ? [] : judged.value);
    if (!removed.ok) return removed;
    return ok({ files: judged.value.map(({ name, sizeBytes }) => ({ name, sizeBytes })) });
  });

/** In this order; what is gone already is. */
export async function removeFiles(
  folder: string,
  files: readonly FileFacts[],
): Promise<Result<void, Fault<'WriteFailed'>>> {
  for (const { name } of files) {
    try {
      await unlink(join(folder, name));
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT')
        return fail('WriteFailed', `${join(folder, name)} cannot be removed: ${errorMessage(thrown)}`);
    }
  }
  return ok(undefined);
}
