/** Which version each vDisk goes back to, for `bootfarm rollback`. Pure. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { FarmSnapshot, VDisk, Version } from './model.ts';
import { isKnown, versionFor } from './version.ts';

export interface Rollback {
  /** Absent: all of the farm. */
  readonly vdisks?: readonly string[];
  /** Absent: the newest one before what the spec says. */
  readonly to?: { readonly version: number } | { readonly asOfSeconds: number };
}

/** Of one vDisk: from what the spec says, overridden or not, so that the same command again changes nothing. */
export type RollbackStep =
  | { readonly kind: 'back'; readonly vdisk: string; readonly from: number | undefined; readonly version: number }
  /** Said and passed over, where all are rolled back. */
  | { readonly kind: 'stays'; readonly vdisk: string; readonly from: number | undefined; readonly why: string };

export type RollbackFault = Fault<'VDiskUnknown' | 'VersionUnknown' | 'NothingBefore'>;

/** A vDisk that was named and cannot go back is a fault; of all of them it stays. */
export function planRollback(
  snapshot: FarmSnapshot,
  rollback: Rollback,
  nowSeconds: number,
): Result<readonly RollbackStep[], RollbackFault> {
  const { vdisks: named } = rollback;
  const unknown = unknownVDisk(snapshot, named);
  if (unknown) return { ok: false, error: unknown };
  const steps: RollbackStep[] = [];
  for (const vdisk of snapshot.vdisks) {
    if (named && !named.includes(vdisk.name)) continue;
    const { versions } = snapshot;
    const boots = versionFor({ vdisk, versions, overrides: [], nowSeconds, isKnown }, 'Production');
    const from = boots.kind === 'version' ? boots.version.number : undefined;
    const target = targetOf(vdisk, versions, rollback.to, from);
    if (!target.ok && named) return target;
    if (target.ok) steps.push({ kind: 'back', vdisk: vdisk.name, from, version: target.value.number });
    else steps.push({ kind: 'stays', vdisk: vdisk.name, from, why: target.error.message });
  }
  return ok(steps);
}

/** The first of these that the farm does not have. */
export function unknownVDisk({ vdisks }: FarmSnapshot, named: readonly string[] = []): RollbackFault | undefined {
  const known = vdisks.map(({ name }) => name).sort();
  const unknown = named.find((name) => !known.includes(name));
  if (unknown === undefined) return undefined;
  return { code: 'VDiskUnknown', message: `the farm has no vDisk ${unknown}: it has ${known.join(', ') || 'none'}` };
}

function targetOf(
  { name }: VDisk,
  all: readonly Version[],
  to: Rollback['to'],
  from: number | undefined,
): Result<Version, RollbackFault> {
  const known = all.filter((version) => version.vdisk === name && isKnown(version));
  const numbers = (versions: readonly Version[]): string =>
    [...versions.map(({ number }) => number)].sort((a, b) => a - b).join(', ') || 'none';
  if (to && 'version' in to) {
    const found = known.find(({ number }) => number === to.version);
    const are = `those whose content is known are ${numbers(known)}`;
    return found ? ok(found) : fail('VersionUnknown', `vDisk ${name} has no version ${to.version} to go to: ${are}`);
  }
  const production = known.filter(({ access }) => access === 'Production');
  const before = production.filter(({ number }) => from === undefined || number < from);
  const settled = before.filter(({ settledAt }) => settledAt !== undefined);
  const found = to ? thenBooted(settled, to.asOfSeconds) : newest(settled.length > 0 ? settled : before);
  if (found) return ok(found);
  const since = to ? ` that was released and complete at ${new Date(1_000 * to.asOfSeconds).toISOString()}` : '';
  const are = `Production versions whose content is known are ${numbers(production)}; --version names any other`;
  return fail(
    'NothingBefore',
    `vDisk ${name} has none before ${from === undefined ? 'now' : `version ${from}`}${since}: ${are}`,
  );
}

const thenBooted = (settled: readonly Version[], asOfSeconds: number): Version | undefined =>
  newest(settled.filter(({ settledAt = 0, releaseAt = 0 }) => Math.max(settledAt, releaseAt) <= asOfSeconds));

const newest = (versions: readonly Version[]): Version | undefined =>
  versions.toSorted((a, b) => b.number - a.number)[0];
