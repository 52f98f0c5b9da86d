/** Records what is right of a version where nobody had said it. */

import { isDeepStrictEqual } from 'node:util';
import type { Database } from '../../database/connection.ts';
import { setMoving, settleVersion, setVersionContent } from '../../database/project.ts';
import { ok } from '../../kit/result.ts';
import type { VDisk } from '../../resources/kinds.ts';
import type { VDiskFindings, VersionJudged } from './judge.ts';
import { moveOf, nextMoving } from './moving.ts';

/** What the database does not know is served by nobody, so a VDisk is not Ready before it is written. */
export async function stateContent(
  writes: Database,
  vdisk: string,
  versions: readonly Pick<VersionJudged, 'number' | 'known' | 'content'>[],
): Promise<VDiskFindings['fault']> {
  let fault: VDiskFindings['fault'];
  for (const { number, known, content } of versions) {
    const stated = content ? await setVersionContent(writes, vdisk, number, content, known) : ok(true);
    if (stated.ok && stated.value) continue;
    const why = stated.ok ? 'the farm database has no such version yet' : stated.error.message;
    const message = `what is right of version ${number} is not recorded: ${why}`;
    fault ??= { kind: 'reconciling', reason: 'FarmNotReady', message };
  }
  return fault;
}

/** What may be the default from now on: servers learn it by the database alone. */
export async function settle(
  writes: Database,
  vdisk: string,
  { settled, unsettled }: { readonly settled: readonly number[]; readonly unsettled: readonly number[] },
  atSeconds: number,
): Promise<VDiskFindings['fault']> {
  const changes = [
    ...unsettled.map((number) => [number, undefined] as const),
    ...settled.map((number) => [number, atSeconds] as const),
  ];
  for (const [number, at] of changes) {
    const done = await settleVersion(writes, vdisk, number, at);
    if (done.ok && done.value) continue;
    const why = done.ok ? 'the farm database has no such version yet' : done.error.message;
    const message = `whether version ${number} may be the default is not recorded: ${why}`;
    return { kind: 'reconciling', reason: 'FarmNotReady', message };
  }
  return undefined;
}

/** How far a move is: servers learn it by the database alone. What somebody else wrote meanwhile is found at the next look. */
export async function move(
  writes: Database,
  vdisk: VDisk,
  findings: VDiskFindings,
  versions: readonly VersionJudged[],
): Promise<VDiskFindings['fault']> {
  const { place, holders, isShared = false } = findings;
  const found = moveOf(vdisk, findings, versions);
  if (!place?.moving || !found || found.step === 'Begins') return undefined;
  const next = nextMoving(place.moving, found, holders, isShared);
  if (isDeepStrictEqual(next, place.moving)) return undefined;
  const done = await setMoving(writes, { name: vdisk.metadata.name, ...place }, next);
  if (done.ok) return undefined;
  const message = `how far it moved is not recorded: ${done.error.message}`;
  return { kind: 'reconciling', reason: 'FarmNotReady', message };
}
