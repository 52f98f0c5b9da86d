/**
 * A copy that is more than its vDisk wants: its files go, when the servers that were chosen have theirs. The operator orders it, and this server looks once more.
 * Pure but for `giveBack`.
 */
import { keepsCopy } from '../farm/files.ts';
import type { FarmSnapshot, Session, VDisk, Version } from '../farm/model.ts';
import type { WorkFault } from '../image/copy.ts';
import { formatOf } from '../image/formats.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import { childrenOf, type FarmKnowledge, namesOf, type Removed, removeFiles, rightCopies, someOf } from './deletion.ts';
import { type FileFacts, type Inventory, lookInto } from './inventory.ts';
import { isProperties } from './properties.ts';
import type { VDiskFiles } from './versions.ts';

export interface GiveBack {
  readonly vdisk: VDiskFiles;
  /** This one. */
  readonly server: string;
  /** As the follower has it, or why it cannot be asked. */
  readonly farm: Result<Known, Fault>;
}

interface Known extends Pick<FarmKnowledge, 'copies'> {
  readonly snapshot: Pick<FarmSnapshot, 'stores' | 'vdisks' | 'versions'>;
  /** Those that have not ended. */
  readonly sessions: readonly Pick<Session, 'device' | 'vdisk' | 'server'>[];
}

/**
 * In the order in which they are asked: nobody can be asked, no vDisk has these files or its store is shared, it is to have a copy here, devices use it
 * here, the chosen servers do not have all of it, what lies here is not what is right, somebody writes it, another image or vDisk needs it.
 */
export type GiveBackFault = Fault<
  'FarmUnknown' | 'VDiskUnknown' | 'Kept' | 'InUse' | 'TooFewCopies' | 'NotRight' | 'BeingChanged' | 'IsNeeded'
>;

/** The files that go: differences before what they are differences of, then what lies beside an image. None: nothing of it is here. */
export function judgeGiveBack(
  { vdisk, server, farm }: GiveBack,
  folder: Inventory,
): Result<readonly FileFacts[], GiveBackFault> {
  const what = `the copy of ${vdisk.fileName} in ${vdisk.folder}`;
  if (!farm.ok)
    return fail('FarmUnknown', `${what} stays: the follower here does not say who needs it (${farm.error.message})`);
  const { snapshot, sessions, copies } = farm.value;
  const names = namesOf(snapshot, vdisk);
  const own = snapshot.vdisks.filter(({ name }) => names.has(name));
  const isShared = ({ store }: VDisk): boolean => snapshot.stores.some(({ name, shared }) => name === store && shared);
  if (own.length === 0 || own.some(isShared))
    return fail('VDiskUnknown', `${what} stays: no VDisk of a local store has these files`);
  const keeps = own.find((one) => keepsCopy(one, server));
  if (keeps) return fail('Kept', `${what} stays: VDisk ${keeps.name} is to have one on server ${server}`);
  const devices = sessions.filter((one) => names.has(one.vdisk) && one.server === server).map(({ device }) => device);
  if (devices.length > 0) return fail('InUse', `${what} stays: ${someOf(devices)} use it here`);
  const known = snapshot.versions.filter(({ vdisk: name, content }) => names.has(name) && content);
  const lacking = own.flatMap((one) => known.flatMap((version) => lacksOf(one, version, copies)));
  if (lacking[0] !== undefined) return fail('TooFewCopies', `${what} stays: ${lacking[0]}`);
  const right = known.filter(({ vdisk: name, number }) =>
    rightCopies(copies, new Set([name]), number).includes(server),
  );
  const going = filesOf(right, known, folder);
  const other = going.find(
    ({ name, sizeBytes, fault }) => fault || (!isProperties(name) && !sizesOf(known, name).includes(sizeBytes)),
  );
  if (other)
    return fail('NotRight', `${what} stays: ${other.name} is not the file that is right: somebody put it there`);
  const fresh = going.find((file) => file.fresh);
  if (fresh) return fail('BeingChanged', `${what} stays: ${fresh.name} was written a moment ago`);
  const children = childrenOf(going, folder.files);
  if (children.length > 0) return fail('IsNeeded', `${what} stays: ${someOf(children)}`);
  const needed = neededBy(snapshot, own, server, going);
  if (needed !== undefined) return fail('IsNeeded', `${what} stays: ${needed}`);
  return ok(going);
}

/** Fewer of the chosen servers than the vDisk wants are known to have that version right; undefined: enough are. */
function lacksOf(
  { name, copies: keep }: VDisk,
  { vdisk, number }: Version,
  copies: Known['copies'],
): string | readonly [] {
  if (vdisk !== name || !keep) return [];
  const right = rightCopies(copies, new Set([name]), number).filter((one) => keep.servers.includes(one));
  if (right.length >= keep.wanted) return [];
  return `VDisk ${name} wants ${keep.wanted} copies, and ${right.length} of the servers that were chosen have version ${number} right`;
}

/** Of versions that are right here; and kernels and initrds of those whose image is not here, as an end that broke off leaves them. */
function filesOf(right: readonly Version[], known: readonly Version[], folder: Inventory): readonly FileFacts[] {
  const there = new Map(folder.files.map((file) => [file.name, file]));
  const isImage = (name: string): boolean => formatOf(name) !== undefined;
  const lost = known.filter(({ content }) => !content?.files.some(({ name }) => isImage(name) && there.has(name)));
  const named = [...right, ...lost]
    .toSorted((a, b) => b.number - a.number)
    .flatMap(({ content }) => content?.files ?? []);
  const stems = new Set(
    right
      .flatMap(({ content }) => content?.files ?? [])
      .filter(({ name }) => isImage(name))
      .map(({ name }) => stem(name)),
  );
  const files = [...new Set(named.map(({ name }) => name))].flatMap((name) => there.get(name) ?? []);
  const properties = folder.files.filter(({ name }) => isProperties(name) && stems.has(stem(name)));
  return [...files.filter(({ name }) => isImage(name)), ...files.filter(({ name }) => !isImage(name)), ...properties];
}

const stem = (name: string): string => name.slice(0, name.lastIndexOf('.'));

const sizesOf = (known: readonly Version[], name: string): readonly number[] =>
  known.flatMap(({ content }) =>
    (content?.files ?? []).filter((file) => file.name === name).map((file) => file.sizeBytes),
  );

/** Another vDisk of the same store that is to have a copy here, of which one of these is a file, too. */
function neededBy(
  { vdisks, versions }: Known['snapshot'],
  own: readonly VDisk[],
  server: string,
  going: readonly FileFacts[],
): string | undefined {
  const others = vdisks.filter(
    (one) => !own.includes(one) && own.some(({ store }) => store === one.store) && keepsCopy(one, server),
  );
  for (const { vdisk, number, content } of versions) {
    const file = content?.files.find(({ name }) => going.some((one) => one.name === name));
    if (file && others.some(({ name }) => name === vdisk))
      return `version ${number} of VDisk ${vdisk} needs ${file.name}`;
  }
  return undefined;
}

/** Removes them: what broke off is gone on with by the next try. */
export const giveBack = (order: GiveBack): Promise<Result<Removed, GiveBackFault | WorkFault | Fault<'WriteFailed'>>> =>
  alone(order.vdisk.folder, async (): Promise<Result<Removed, GiveBackFault | Fault<'WriteFailed'>>> => {
    const { folder } = order.vdisk;
    const judged = judgeGiveBack(order, await lookInto(folder));
    if (!judged.ok) return judged;
    const removed = await removeFiles(folder, judged.value);
    return removed.ok ? ok({ files: judged.value.map(({ name, sizeBytes }) => ({ name, sizeBytes })) }) : removed;
  });
