/** Which version of a vDisk a device boots, and what each version is meanwhile. Promoting is a commit in git, so the rule is simple and explains itself. */
import type { Access, VDisk, Version, VersionOverride } from './model.ts';

/** What a choice depends on. */
type Candidate = Omit<Version, 'content'>;

export interface Choice<V extends Candidate = Version> {
  readonly vdisk: Pick<VDisk, 'name' | 'bootVersion'>;
  /** Those of other vDisks are passed over. */
  readonly versions: readonly V[];
  /** Those of other vDisks, too. */
  readonly overrides: readonly VersionOverride[];
  readonly nowSeconds: number;
  /** Whether somebody said what is right of it: nobody serves it before. */
  readonly isKnown: (version: V) => boolean;
}

export type VersionChoice<V extends Candidate = Version> =
  | { readonly kind: 'version'; readonly version: V; readonly why: 'Override' | 'Pinned' | 'Newest' }
  | { readonly kind: 'none'; readonly message: string };

/**
 * PVS's words. `Default` is what Production devices boot, `Override` the same where `bootfarm rollback` chose it; `Pending` becomes the default by itself, and
 * `waitsFor` says when.
 */
export type VersionState =
  | { readonly state: 'Maintenance' | 'Test' | 'Production' | 'Default' | 'Override' }
  | { readonly state: 'Pending'; readonly waitsFor: { readonly releaseAt: number } | 'copies' };

export const ACCESSES = ['Maintenance', 'Test', 'Production'] as const satisfies readonly Access[];

/** The lowest access that a class of device may boot comes first: Maintenance sees all, Production only Production. */
const MAY_BOOT: Readonly<Record<Access, readonly Access[]>> = {
  Production: ['Production'],
  Test: ['Test', 'Production'],
  Maintenance: ['Maintenance', 'Test', 'Production'],
};

/**
 * Production devices: what an override says, else `bootVersion`, else the newest released Production version that enough servers have held (`settledAt`); where
 * none has been, the newest one whose content is known: a version of which nobody has anything takes the place of none.
 * Test and Maintenance devices: the newest version of the lowest access that they may boot.
 */
export function versionFor<V extends Candidate>(choice: Choice<V>, device: Access): VersionChoice<V> {
  const { vdisk, nowSeconds } = choice;
  const own = versionsOf(choice);
  if (device === 'Production') {
    const overridden = overrideOf(choice);
    if (overridden?.version) return { kind: 'version', version: overridden.version, why: 'Override' };
    const { bootVersion } = vdisk;
    if (bootVersion !== undefined) return pinned(own.get(bootVersion), vdisk.name, bootVersion);
  }
  for (const access of MAY_BOOT[device]) {
    const released = [...own.values()].filter(
      (version) => version.access === access && isReleased(version, nowSeconds),
    );
    const settled = released.filter(({ settledAt }) => access !== 'Production' || settledAt !== undefined);
    const known = access === 'Production' ? released.filter(choice.isKnown) : [];
    const newest = newestOf(settled) ?? newestOf(known) ?? newestOf(released);
    if (newest) return { kind: 'version', version: newest, why: 'Newest' };
  }
  const told = [...own.values()].map(
    (version) => `${version.number} is ${version.access}${isReleased(version, nowSeconds) ? '' : ' later'}`,
  );
  return {
    kind: 'none',
    message: `VDisk ${vdisk.name} has no version that a ${device} device may boot: ${told.join(', ') || 'it has none'}`,
  };
}

/** By number, of each version of the vDisk. */
export function versionStates<V extends Candidate>(choice: Choice<V>): ReadonlyMap<number, VersionState> {
  const boots = versionFor(choice, 'Production');
  const stateOf = (version: V): VersionState => {
    const { access, number, releaseAt, settledAt } = version;
    if (boots.kind === 'version' && boots.version === version)
      return { state: boots.why === 'Override' ? 'Override' : 'Default' };
    if (access !== 'Production') return { state: access };
    if (releaseAt !== undefined && !isReleased(version, choice.nowSeconds))
      return { state: 'Pending', waitsFor: { releaseAt } };
    const isNext = boots.kind === 'version' && boots.why === 'Newest' && number > boots.version.number;
    return isNext && settledAt === undefined ? { state: 'Pending', waitsFor: 'copies' } : { state: 'Production' };
  };
  return new Map([...versionsOf(choice)].map(([number, version]) => [number, stateOf(version)]));
}

/** The override that has not ended; without a version: the vDisk has none of its number any more, and what the spec says holds. */
export function overrideOf<V extends Candidate>(
  choice: Choice<V>,
): { readonly override: VersionOverride; readonly version?: V } | undefined {
  const { vdisk, overrides, nowSeconds } = choice;
  const override = overrides.find((one) => one.vdisk === vdisk.name && (one.until ?? Infinity) > nowSeconds);
  if (!override) return undefined;
  const version = versionsOf(choice).get(override.version);
  return { override, ...(version ? { version } : {}) };
}

export const isKnown = ({ content }: Version): boolean => content !== undefined;

const versionsOf = <V extends Candidate>({ vdisk, versions }: Choice<V>): ReadonlyMap<number, V> =>
  new Map(versions.filter((version) => version.vdisk === vdisk.name).map((version) => [version.number, version]));

const isReleased = ({ access, releaseAt = 0 }: Candidate, nowSeconds: number): boolean =>
  access !== 'Production' || releaseAt <= nowSeconds;

const newestOf = <V extends Candidate>(versions: readonly V[]): V | undefined =>
  versions.toSorted((a, b) => b.number - a.number)[0];

const pinned = <V extends Candidate>(version: V | undefined, vdisk: string, number: number): VersionChoice<V> =>
  version
    ? { kind: 'version', version, why: 'Pinned' }
    : { kind: 'none', message: `VDisk ${vdisk} has no version ${number}, which its bootVersion names` };
