/** Edits of `spec.versions` that people make in git, made for them. Pure: a spec in, a merge patch of it out. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { VDisk } from './kinds.ts';

type Spec = Pick<VDisk['spec'], 'versions' | 'bootVersion'>;
type Entry = Spec['versions'][number];

export interface Edit {
  /** JSON merge patch of the spec; empty: it says so already. */
  readonly patch: { readonly versions?: readonly Entry[]; readonly bootVersion?: number | null };
  /** What it comes to, for a person. */
  readonly says: string;
}

export type EditFault = Fault<'NoVersion'>;

/** Without any entry version 0 is Production: it stays so, and is named. */
const entriesOf = ({ versions }: Spec): readonly Entry[] =>
  versions.length > 0 ? versions : [{ number: 0, access: 'Production' }];

/** The version gets this access; one that is not named yet is. Where `bootVersion` pins machines, a promotion to Production moves it. */
export function promote(
  spec: Spec,
  { number, access, releaseAt }: Pick<Entry, 'number' | 'access' | 'releaseAt'>,
): Edit {
  const entries = entriesOf(spec);
  const { releaseAt: before, ...known } = entries.find((entry) => entry.number === number) ?? { number };
  const entry: Entry = { ...known, access, ...(releaseAt === undefined ? {} : { releaseAt }) };
  const others = entries.filter((other) => other.number !== number);
  const versions = [...others, entry].sort((a, b) => a.number - b.number);
  const isSame = entries.some((other) => other.number === number && other.access === access) && before === releaseAt;
  const moves = access === 'Production' && spec.bootVersion !== undefined && spec.bootVersion !== number;
  const newer = others.filter((other) => other.access === 'Production' && other.number > number).at(-1);
  const hidden = access === 'Production' && spec.bootVersion === undefined && newer;
  return {
    patch: { ...(isSame ? {} : { versions }), ...(moves ? { bootVersion: number } : {}) },
    says:
      `version ${number} ${isSame ? 'is' : 'becomes'} ${access}${releaseAt === undefined ? '' : `, released at ${releaseAt}`}` +
      (moves ? `, and bootVersion ${spec.bootVersion} becomes ${number}` : '') +
      (hidden ? `; machines boot version ${newer.number}, which is newer: revert that one, or set bootVersion` : ''),
  };
}

/** Machines boot the Production version before: the newest becomes Test, so that it can be mended and promoted again; where `bootVersion` pins them, it moves. */
export function revert(spec: Spec): Result<Edit, EditFault> {
  const entries = entriesOf(spec);
  const production = entries.filter(({ access }) => access === 'Production').sort((a, b) => b.number - a.number);
  const from = production.find(({ number }) => spec.bootVersion === undefined || number === spec.bootVersion);
  const to = production.find(({ number }) => from !== undefined && number < from.number);
  if (!from || !to) {
    const numbers = production.map(({ number }) => number).sort((a, b) => a - b);
    return fail('NoVersion', `there is no Production version before it: there is ${numbers.join(', ') || 'none'}`);
  }
  if (spec.bootVersion !== undefined)
    return ok({ patch: { bootVersion: to.number }, says: `bootVersion ${from.number} becomes ${to.number}` });
  const versions = entries.map((entry) => (entry === from ? { ...entry, access: 'Test' as const } : entry));
  return ok({
    patch: { versions },
    says: `version ${from.number} becomes Test: machines boot version ${to.number} at their next start`,
  });
}
