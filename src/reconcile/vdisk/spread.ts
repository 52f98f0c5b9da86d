/** Which servers keep the copies of a VDisk that says how many it wants; what is judged of theirs, and of the others'. Pure. */
import { type Chosen, isStoodInFor, type Keeper, type Spread, spread } from '../../farm/spread.ts';
import { secondsOf as durationOf } from '../../kit/units.ts';
import { rfc3339 } from '../../resources/conditions.ts';
import type { Store, VDisk } from '../../resources/kinds.ts';
import { type CopyHolder, type CopyJudged, isRight, type VDiskFindings, type VersionJudged } from './judge.ts';

type Status = NonNullable<VDisk['status']>;
type ChosenStatus = NonNullable<Status['chosen']>;

/** Undefined: every server of the store does. */
export function spreadOf(
  vdisk: VDisk,
  { holders, wanted, nowSeconds }: Pick<VDiskFindings, 'holders' | 'wanted' | 'nowSeconds'>,
  versions: readonly VersionJudged[],
): Spread | undefined {
  if (!wanted) return undefined;
  const { count, ...rule } = wanted;
  return spread({
    vdisk: vdisk.metadata.uid ?? vdisk.metadata.name,
    ...(vdisk.spec.loadBalancing.server === undefined ? {} : { pinned: vdisk.spec.loadBalancing.server }),
    before: (vdisk.status?.chosen ?? []).map(chosenRow),
    keepers: holders.map((holder) => keeperOf(holder, versions)),
    ...{ ...rule, wanted: count, nowSeconds },
  });
}

const chosenRow = ({ name, since, awaySince }: ChosenStatus[number]): Chosen => ({
  ...{ name, since: secondsOf(since) },
  ...(awaySince === undefined ? {} : { awaySince: secondsOf(awaySince) }),
});
const secondsOf = (time: string): number => Math.floor(Date.parse(time) / 1_000);

export const chosenStatus = ({ chosen }: Spread): ChosenStatus =>
  chosen.map(({ name, since, awaySince }) => ({
    ...{ name, since: timeOf(since) },
    ...(awaySince === undefined ? {} : { awaySince: timeOf(awaySince) }),
  }));
const timeOf = (seconds: number): string => rfc3339(new Date(1_000 * seconds));

function keeperOf(
  { server, reachable, silentMs, store, devices = 0, powerRating = 1 }: CopyHolder,
  versions: readonly VersionJudged[],
): Keeper {
  const known = versions.filter(({ right }) => right !== undefined);
  const copyOf = ({ copies }: VersionJudged): CopyJudged | undefined => copies.find((copy) => copy.server === server);
  const has = (version: VersionJudged): boolean => isRight(copyOf(version) ?? { state: 'Missing' });
  const own = versions.flatMap((version) => copyOf(version) ?? []);
  const there = new Set(known.filter(has).flatMap(filesOf).map(keyOf));
  const lacking = known
    .filter((version) => !has(version))
    .flatMap(filesOf)
    .filter((file) => !there.has(keyOf(file)));
  const isMounted = store?.state === 'Accessible' || store?.state === 'ReadOnly' || store?.isAbsent === true;
  return {
    name: server,
    alive: reachable && isMounted,
    silentSeconds: Math.floor(silentMs / 1_000),
    whole: known.length > 0 && known.every(has),
    coming: own.some(
      ({ state, progressPercent }) => state === 'Copying' || (state === 'Corrupt' && progressPercent !== undefined),
    ),
    lacksBytes: [...new Map(lacking.map((file) => [file.name, file.sizeBytes])).values()].reduce(
      (sum, bytes) => sum + bytes,
      0,
    ),
    hasSome: own.some((copy) => copy.state !== 'Missing' || lacksKernel(copy)),
    ...(store && !store.isAbsent ? { freeBytes: Math.max(0, store.freeBytes - (store.needBytes ?? 0)) } : {}),
    totalBytes: store?.totalBytes ?? 0,
    devices,
    powerRating,
  };
}

export const replaceAfterSeconds = ({ spec }: Pick<Store, 'spec'>): number =>
  durationOf(spec.replication?.replaceAfter ?? '30m');

/** Copies by which work is ordered: the status says of the same ones what comes of it. */
export function countedCopies(
  { copies = [], chosen }: Pick<Status, 'copies' | 'chosen'>,
  store: Pick<Store, 'spec'>,
  nowSeconds: number,
): NonNullable<Status['copies']> {
  if (!chosen) return copies;
  const counted = chosen.map(chosenRow).filter((one) => !isStoodInFor(one, replaceAfterSeconds(store), nowSeconds));
  const isCounted = ({ server }: { readonly server: string }): boolean => counted.some(({ name }) => name === server);
  return copies.filter((copy) => isCounted(copy) || (copy.state === 'Missing' && lacksKernel(copy)));
}

/** Its image is there, and kernel and initrd may come out of it. */
const lacksKernel = ({ lacksBootFiles }: Pick<CopyJudged, 'lacksBootFiles'>): boolean => lacksBootFiles !== undefined;

/** Those that are right, as some server shows them. */
const filesOf = ({ right, copies }: VersionJudged) => copies.find(({ manifest }) => manifest === right)?.files ?? [];
const keyOf = ({ name, sha256 }: { readonly name: string; readonly sha256: string }): string => `${name} ${sha256}`;

/** What is judged of those that should have one, and apart from it what others have. */
export function apart(versions: readonly VersionJudged[], found: Spread | undefined): readonly VersionJudged[] {
  if (!found) return versions;
  const chosen = new Set(found.chosen.map(({ name }) => name));
  return versions.map((version) => ({
    ...version,
    copies: version.copies.filter(({ server }) => found.counted.includes(server)),
    others: version.copies
      .filter(({ server }) => !found.counted.includes(server))
      .filter((copy) => copy.state !== 'Missing' || chosen.has(copy.server) || lacksKernel(copy))
      .map((copy) =>
        chosen.has(copy.server) ? copy : { ...copy, surplus: true, message: surplusWords(version, copy) },
      ),
  }));
}

function surplusWords({ number }: VersionJudged, copy: CopyJudged): string {
  if (isRight(copy))
    return 'more than spec.copies asks for: it goes when the chosen servers have theirs and no device uses it';
  if (copy.state === 'OutOfDate' || copy.state === 'Corrupt')
    return `server ${copy.server} was not chosen for version ${number}, and what it has is not right: it stays until somebody removes it`;
  return copy.message;
}
