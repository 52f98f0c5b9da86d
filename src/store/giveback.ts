/**
 * A copy that is more than its vDisk wants, or that lies where it moved from: its files go, when the servers that were chosen, or those of the new store, have theirs.
 * The operator orders it, by what it knows of the folders; this server looks once more, reads what would go, and looks again. What is not proved is a no. Pure but for `giveBack`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileNames, keepsCopy, versionOfStem } from '../farm/files.ts';
import type { FarmSnapshot, Session, VDisk, Version } from '../farm/model.ts';
import type { WorkFault } from '../image/copy.ts';
import { formatOf } from '../image/formats.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import {
  childrenOf,
  type FarmKnowledge,
  ledSnapshot,
  namesOf,
  type Removed,
  removeFiles,
  rightCopies,
  someOf,
  storesAt,
} from './deletion.ts';
import { byName, type FileFacts, type Inventory, lookInto } from './inventory.ts';
import type { Owner } from './mark.ts';
import { isProperties } from './properties.ts';
import { type ReadFile, type Reading, readAll } from './reread.ts';
import type { VDiskFiles } from './versions.ts';

export interface GiveBack {
  readonly vdisk: VDiskFiles;
  /** This one. */
  readonly server: string;
  /** `Inventory.volume` of the folder by which the operator found that what the chosen servers have lies elsewhere. */
  readonly volume: string;
  /** As the follower has it, or why it cannot be asked. */
  readonly farm: Result<Known, Fault>;
  /** By name, what was read of files. Absent: nothing yet. */
  readonly read?: ReadonlyMap<string, ReadFile>;
}

interface Known extends Pick<FarmKnowledge, 'copies'> {
  readonly snapshot: Pick<FarmSnapshot, 'stores' | 'vdisks' | 'versions'>;
  /** Those that have not ended. */
  readonly sessions: readonly Pick<Session, 'device' | 'vdisk' | 'server'>[];
}

/**
 * In the order in which they are asked: nobody can be asked, the folder is not this farm's, not the one that was seen, or may not be written, no vDisk has these files or its store is
 * shared, it is to have a copy here, devices use it here, nobody knows what is right of all of it, the chosen servers do not have all of it, what lies here is not
 * what is right, somebody writes it, other images or vDisks need it.
 */
export type GiveBackFault = Fault<
  | 'FarmUnknown'
  | 'StoreForeign'
  | 'OtherVolume'
  | 'StoreReadOnly'
  | 'VDiskUnknown'
  | 'Kept'
  | 'InUse'
  | 'ContentUnknown'
  | 'TooFewCopies'
  | 'NotRight'
  | 'BeingChanged'
  | 'IsNeeded'
>;

/** The files that go, from the last version to the first, an image after what lies beside it: what broke off is begun again. None: nothing of it is here. */
export function judgeGiveBack(
  { vdisk, server, volume, farm, read }: GiveBack,
  folder: Inventory,
): Result<readonly FileFacts[], GiveBackFault> {
  const what = `the copy of ${vdisk.fileName} in ${vdisk.folder}`;
  if (!farm.ok)
    return fail('FarmUnknown', `${what} stays: the follower here does not say who needs it (${farm.error.message})`);
  if (folder.foreign) return fail('StoreForeign', `${what} stays: ${folder.message}`);
  if (folder.volume !== volume)
    return fail(
      'OtherVolume',
      `${what} stays: its folder has ${folder.volume ? 'another mark' : 'no mark'} by now, so it may be the very one that other servers have`,
    );
  if (folder.state === 'ReadOnly')
    return fail('StoreReadOnly', `${what} stays: its folder may not be written: mount it to be, or remove it there`);
  const { snapshot, copies } = farm.value;
  const names = namesOf(snapshot, vdisk);
  const own = snapshot.vdisks.filter(({ name }) => names.has(name));
  const here = storesAt(snapshot.stores, vdisk.folder);
  const isLeft = ({ store }: VDisk): boolean => !here.has(store);
  const isShared = ({ store }: VDisk): boolean => snapshot.stores.some(({ name, shared }) => name === store && shared);
  if (own.length === 0 || own.some((one) => !isLeft(one) && isShared(one)))
    return fail('VDiskUnknown', `${what} stays: no VDisk of a local store has these files`);
  const keeps = own.find((one) => !isLeft(one) && keepsCopy(one, server));
  if (keeps) return fail('Kept', `${what} stays: VDisk ${keeps.name} is to have one on server ${server}`);
  const moving = own.find((one) => isLeft(one) && one.moving?.arrived === undefined);
  if (moving) return fail('Kept', `${what} stays: VDisk ${moving.name} still moves from there`);
  const versions = snapshot.versions.filter(({ vdisk: name }) => names.has(name));
  const users = usersOf(own, versions, farm.value, { server, isLeft });
  if (users.length > 0) return fail('InUse', `${what} stays: ${someOf(users)} use it here`);
  const unknown = versions.find(({ content, sha256 }) => !content || (sha256 ?? content.manifest) !== content.manifest);
  if (unknown)
    return fail('ContentUnknown', `${what} stays: nobody knows yet which files of version ${unknown.number} are right`);
  const lacking = own.flatMap((one) => versions.flatMap((version) => lacksOf(one, version, copies)));
  if (lacking[0] !== undefined) return fail('TooFewCopies', `${what} stays: ${lacking[0]}`);
  const found = filesOf(
    versions.filter(
      isOurs(
        own.filter((one) => !isLeft(one)),
        { server, copies, folder },
      ),
    ),
    folder,
    vdisk.fileName,
    (version) => own.every((one) => hasProperties(one, version, copies)),
  );
  const other = found.find((file) => !isRightFile(file, versions));
  if (other)
    return fail('NotRight', `${what} stays: ${other.name} is not the file that is right: somebody put it there`);
  const fresh = found.find((file) => file.fresh);
  if (fresh) return fail('BeingChanged', `${what} stays: ${fresh.name} was written a moment ago`);
  const going = withoutNeeded(found, neededBy(snapshot, own, { ...vdisk, server }, found), folder);
  if (!going.ok) return fail('IsNeeded', `${what} stays: ${going.error.message}`);
  if (!read) return going;
  const changed = going.value.find(
    ({ name, identity }) => !isProperties(name) && read.get(name)?.identity !== identity,
  );
  if (changed) return fail('BeingChanged', `${what} stays: ${changed.name} was changed while it was read`);
  const wrong = going.value.find((file) => !isRightFile(file, versions, read));
  if (wrong) return fail('NotRight', `${what} stays: ${wrong.name} was read, and is not what is right`);
  return going;
}

/** Devices that may read these files: of a vDisk that moved, those of servers that are not known to have all of it right where it is to be. */
function usersOf(
  own: readonly VDisk[],
  versions: readonly Version[],
  { sessions, copies }: Known,
  { server, isLeft }: { readonly server: string; readonly isLeft: (vdisk: VDisk) => boolean },
): readonly string[] {
  return own.flatMap((one) => {
    const names = new Set([one.name]);
    const mine = versions.filter(({ vdisk }) => vdisk === one.name);
    const reads = (at: string): boolean =>
      isLeft(one) ? !mine.every(({ number }) => rightCopies(copies, names, number).includes(at)) : at === server;
    return sessions.filter((session) => names.has(session.vdisk) && reads(session.server)).map(({ device }) => device);
  });
}

/** How many copies there are to be, and on which servers; of one that moved so many as had it when it arrived, wherever. */
const keptBy = ({
  copies: keep,
  moving,
}: VDisk): { readonly wanted: number; readonly servers?: readonly string[] } | undefined =>
  keep ?? (moving?.arrived === undefined ? undefined : { wanted: Math.max(1, moving.arrived) });

/** Fewer of the servers that keep it than the vDisk wants are known to have that version right; undefined: enough are. */
function lacksOf(vdisk: VDisk, { vdisk: of, number }: Version, copies: Known['copies']): string | readonly [] {
  const { name } = vdisk;
  const keep = keptBy(vdisk);
  if (of !== name || !keep) return [];
  const right = rightCopies(copies, new Set([name]), number).filter((one) => keep.servers?.includes(one) ?? true);
  if (right.length >= keep.wanted) return [];
  const who = keep.servers ? 'servers that were chosen' : 'servers of its store';
  return `VDisk ${name} wants ${keep.wanted} copies, and ${right.length} of the ${who} have version ${number} right`;
}

/** As many have its properties, too: where they are is told by the same word. */
const hasProperties = (vdisk: VDisk, number: number, copies: Known['copies']): boolean => {
  const keep = keptBy(vdisk);
  const whole = copies.filter(
    ({ server, vdisk: of, version, state }) =>
      of === vdisk.name && version === number && state === 'UpToDate' && (keep?.servers?.includes(server) ?? true),
  );
  return keep !== undefined && whole.length >= keep.wanted;
};

/** It is right here; or some of it is not here, as an end that broke off leaves it, and each file that is has the right size. */
const isOurs =
  (
    staying: readonly VDisk[],
    {
      server,
      copies,
      folder,
    }: { readonly server: string; readonly copies: Known['copies']; readonly folder: Inventory },
  ) =>
  ({ vdisk, number, content }: Version): boolean => {
    // Of one that moved, what is told is of its new store.
    const isTold = staying.some(({ name }) => name === vdisk);
    if (isTold && rightCopies(copies, new Set([vdisk]), number).includes(server)) return true;
    const told = isTold && copies.find((one) => one.server === server && one.vdisk === vdisk && one.version === number);
    if (told && told.state !== 'Missing') return false;
    return (content?.files ?? []).every(({ name, sizeBytes }) => {
      const file = byName(folder).get(name);
      return !file || (!file.fault && file.sizeBytes === sizeBytes);
    });
  };

/** Of these versions, what is there: each file once, where it comes last. */
function filesOf(
  versions: readonly Version[],
  folder: Inventory,
  fileName: string,
  mayGo: (version: number) => boolean,
): readonly FileFacts[] {
  const names = versions
    .toSorted((a, b) => b.number - a.number)
    .flatMap(({ number, content }) => {
      const all = (content?.files ?? []).map(({ name }) => name);
      const own = fileNames(fileName, number).stem;
      const images = all.filter(isImage).toSorted((a, b) => Number(stem(b) === own) - Number(stem(a) === own));
      const beside = images.flatMap((image) => {
        const version = versionOfStem(stem(image), fileName);
        return version !== undefined && mayGo(version) ? [`${stem(image)}.pvp`, image] : [image];
      });
      return [...all.filter((name) => !isImage(name)), ...beside];
    });
  const last = names.filter((name, at) => names.lastIndexOf(name) === at);
  return last.flatMap((name) => byName(folder).get(name) ?? []);
}

const isImage = (name: string): boolean => formatOf(name) !== undefined;
const stem = (name: string): string => name.slice(0, name.lastIndexOf('.'));

/** Of each version that has a file of this name: by its size, and by its content where it was read. */
function isRightFile(
  { name, sizeBytes, fault }: FileFacts,
  versions: readonly Version[],
  read?: GiveBack['read'],
): boolean {
  if (fault) return false;
  if (isProperties(name)) return true;
  const right = versions.flatMap(({ content }) => (content?.files ?? []).filter((file) => file.name === name));
  return right.every((file) => file.sizeBytes === sizeBytes && (!read || read.get(name)?.sha256 === file.sha256));
}

/** Names of files that another vDisk of this folder needs which is to have a copy here, and why. */
function neededBy(
  { stores, vdisks, versions }: Known['snapshot'],
  own: readonly VDisk[],
  { folder, server }: { readonly folder: string; readonly server: string },
  going: readonly FileFacts[],
): ReadonlyMap<string, string> {
  const here = storesAt(stores, folder);
  const needs = (one: VDisk): boolean =>
    (here.has(one.store) && keepsCopy(one, server)) || (one.moving?.from ?? []).some((store) => here.has(store));
  const others = vdisks.filter((one) => !own.includes(one) && needs(one));
  return new Map(
    versions
      .filter(({ vdisk }) => others.some(({ name }) => name === vdisk))
      .flatMap(({ vdisk, number, content }) =>
        (content?.files ?? [])
          .filter(({ name }) => going.some((one) => one.name === name))
          .map(({ name }) => [name, `version ${number} of VDisk ${vdisk} needs ${name}`] as const),
      ),
  );
}

/** What others need stays, and what it is a difference of; the rest goes, unless no image is left of it. */
function withoutNeeded(
  found: readonly FileFacts[],
  needed: ReadonlyMap<string, string>,
  { files }: Inventory,
): Result<readonly FileFacts[], Fault<'IsNeeded'>> {
  const why = new Set(found.flatMap(({ name }) => needed.get(name) ?? []));
  let going = found.filter(({ name }) => !needed.has(name));
  for (let before = -1; before !== going.length; ) {
    before = going.length;
    const staying = files.filter((file) => !going.includes(file));
    going = going.filter((file) => {
      const children = isImage(file.name)
        ? childrenOf(
            [file],
            staying.filter((other) => other !== file),
          )
        : [];
      for (const child of children) why.add(child);
      return children.length === 0;
    });
  }
  if (why.size > 0 && !going.some(({ name }) => isImage(name))) return fail('IsNeeded', someOf([...why]));
  return ok(going);
}

export interface GivingBack extends Reading {
  /** Whose this server is. Absent: it is not known, and nothing goes. */
  readonly owner?: Owner | undefined;
}

/** What was written a moment ago is looked at again, for longer than that holds: an order that failed comes again in an hour. */
const LOOKS_AT_CHANGE = 5;
const LOOK_AGAIN_MS = 5_000;

/** Reads what would go, and removes it. `farm` is asked before and after, for reading may take an hour. */
export const giveBack = (
  { farm, ...order }: Omit<GiveBack, 'farm' | 'read'> & { readonly farm: () => Promise<GiveBack['farm']> },
  { owner, ...running }: GivingBack,
): Promise<Result<Removed, GiveBackFault | WorkFault | Fault<'WriteFailed'>>> =>
  alone(order.vdisk.folder, async (): Promise<Result<Removed, GiveBackFault | WorkFault | Fault<'WriteFailed'>>> => {
    const { folder } = order.vdisk;
    const judge = async (read?: GiveBack['read']): Promise<Result<readonly FileFacts[], GiveBackFault>> => {
      const led = await ledSnapshot(order.vdisk, await farm());
      const inventory = await lookInto(folder, { owner });
      return judgeGiveBack({ ...order, ...led, ...(read && { read }) }, inventory);
    };
    let first = await judge();
    for (let looks = 0; !first.ok && first.error.code === 'BeingChanged' && looks < LOOKS_AT_CHANGE; looks++) {
      await delay(LOOK_AGAIN_MS, undefined, { signal: running.signal }).catch(() => undefined);
      first = await judge();
    }
    if (!first.ok) return first;
    const content = first.value.filter(({ name }) => !isProperties(name));
    const read = await readAll(folder, content, running);
    if (!read.ok) return read;
    const judged = await judge(read.value);
    if (!judged.ok) return judged;
    const removed = await removeFiles(folder, judged.value);
    return removed.ok ? ok({ files: judged.value.map(({ name, sizeBytes }) => ({ name, sizeBytes })) }) : removed;
  });
