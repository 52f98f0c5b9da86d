/** Edits of `spec.versions` that people make in git, made for them. Pure: a spec in, a merge patch of it out. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { VDisk } from './kinds.ts';

type Spec = Pick<VDisk['spec'], 'versions' | 'bootVersion'>;
type Entry = Spec['versions'][number];

export interface Edit {
  /** JSON merge patch of the spec; empty: it says so already. */
  readonly patch: {
    readonly versions?: readonly Entry[];
    readonly bootVersion?: number;
    readonly storeRef?: { readonly name: string };
    readonly movePolicy?: VDisk['spec']['movePolicy'];
  };
  /** What it comes to, for a person. */
  readonly says: string;
}

export type EditFault = Fault<'NoVersion' | 'Pinned'>;

/** Without any entry version 0 is Production: it stays so, and is named. */
const entriesOf = ({ versions }: Spec): readonly Entry[] =>
  versions.length > 0 ? versions : [{ number: 0, access: 'Production' }];

/**
 * The version gets this access; one that is not named yet is. Where `bootVersion` pins machines, a promotion to Production moves it, unless it is for a date:
 * a pin waits for nothing.
 */
export function promote(
  spec: Spec,
  { number, access, releaseAt }: Pick<Entry, 'number' | 'access' | 'releaseAt'>,
): Result<Edit, EditFault> {
  const { bootVersion } = spec;
  const entries = entriesOf(spec);
  const { releaseAt: before, ...known } = entries.find((entry) => entry.number === number) ?? { number };
  const entry: Entry = { ...known, access, ...(releaseAt === undefined ? {} : { releaseAt }) };
  const others = entries.filter((other) => other.number !== number);
  const versions = [...others, entry].sort((a, b) => a.number - b.number);
  if (access !== 'Production' && bootVersion === number)
    return fail('Pinned', `bootVersion pins machines to version ${number}: promote another one first, or revert it`);
  if (releaseAt !== undefined && bootVersion !== undefined)
    return fail(
      'Pinned',
      `bootVersion pins machines to version ${bootVersion}, which a date does not end: remove bootVersion first`,
    );
  const isSame = entries.some((other) => other.number === number && other.access === access) && before === releaseAt;
  const moves = access === 'Production' && bootVersion !== undefined && bootVersion !== number;
  const newer = access === 'Production' && bootVersion === undefined && newest(others);
  const hidden = newer && newer.number > number ? newer.number : undefined;
  return ok({
    patch: { ...(isSame ? {} : { versions }), ...(moves ? { bootVersion: number } : {}) },
    says:
      `version ${number} ${isSame ? 'is' : 'becomes'} ${access}${releaseAt === undefined ? '' : `, released at ${releaseAt}`}` +
      (moves ? `, and bootVersion ${bootVersion} becomes ${number}, which waits for no copies` : '') +
      (hidden === undefined
        ? ''
        : `; machines boot version ${hidden}, which is newer: revert that one, or set bootVersion`),
  });
}

/** The newest Production entry of these. */
const newest = (entries: readonly Entry[]): Entry | undefined =>
  entries.filter(({ access }) => access === 'Production').toSorted((a, b) => b.number - a.number)[0];

/**
 * Machines boot the Production version before: the newest one that is released becomes Test, so that it can be mended and promoted again; where
 * `bootVersion` pins them, it moves.
 */
export function revert(spec: Spec, nowMs: number): Result<Edit, EditFault> {
  const { bootVersion } = spec;
  const entries = entriesOf(spec);
  const released = entries.filter(({ releaseAt }) => releaseAt === undefined || Date.parse(releaseAt) <= nowMs);
  const from = bootVersion === undefined ? newest(released) : entries.find(({ number }) => number === bootVersion);
  const to = from && newest(released.filter(({ number }) => number < from.number));
  if (!from || !to) {
    const numbers = released.filter(({ access }) => access === 'Production').map(({ number }) => number);
    const are = numbers.sort((a, b) => a - b).join(', ') || 'none';
    return fail(
      'NoVersion',
      `there is no released Production version before ${from?.number ?? 'now'}: there is ${are}`,
    );
  }
  if (bootVersion !== undefined)
    return ok({ patch: { bootVersion: to.number }, says: `bootVersion ${from.number} becomes ${to.number}` });
  const versions = entries.map((entry) => (entry === from ? { ...entry, access: 'Test' as const } : entry));
  return ok({
    patch: { versions },
    says: `version ${from.number} becomes Test: machines boot version ${to.number} at their next start`,
  });
}
