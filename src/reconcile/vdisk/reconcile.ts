/** One look at a VDisk: what servers hold of it; records what is right where nobody had said it; then its status. */
import { type KubeObject, key as keyFor } from '../../kube/object.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { type Context, logFault } from '../context.ts';
import type { Member } from '../member.ts';
import { keepDevices } from '../quiet.ts';
import { move, settle, stateContent } from './apply.ts';
import { copiesFound } from './copies.ts';
import { copyEvents, lastsMs, statesNow, statesTold } from './events.ts';
import { judge, nowSettled, nowUnsettled, type VersionJudged } from './judge.ts';
import { observe } from './observe.ts';
import { apart, chosenStatus, spreadOf } from './spread.ts';
import { vdiskStatus } from './status.ts';
import { workEvents } from './work.ts';

const DELETION_WAITS_MS = 60_000;

export const vdiskMember: Member<'VDisk'> = {
  kind: 'VDisk',
  table: 'vdisk',
  informer: ({ vdisks }) => vdisks,
  deletionWaitsMs: () => DELETION_WAITS_MS,
  keep: keepDevices,
  observe: async (context, vdisk, object) => {
    const { namespace, name } = vdisk.metadata;
    const runtime = context.runtimes.get(keyFor(namespace, vdisk.spec.farmRef.name));
    const findings = await observe(context, vdisk);
    const all = judge(vdisk, findings);
    const spread = findings.fault ? undefined : spreadOf(vdisk, findings, all);
    const judged = apart(all, spread);
    const chosen = findings.fault ? vdisk.status?.chosen : spread && chosenStatus(spread);
    const settled = findings.fault ? [] : nowSettled(vdisk, judged);
    const unsettled = findings.fault ? [] : nowUnsettled(findings, judged);
    const fault =
      findings.fault ??
      (runtime &&
        ((await stateContent(runtime.writes, name, judged)) ??
          (await settle(runtime.writes, name, { settled, unsettled }, findings.nowSeconds)) ??
          (await move(runtime.writes, vdisk, findings, judged))));
    const versions = fault ? judged : withSettled(judged, settled, findings.nowSeconds);
    if (runtime && !findings.fault) {
      const recorded = await runtime.copies.record(runtime.writes, name, copiesFound(vdisk, findings, judged));
      logFault(context, `VDisk ${namespace}/${name}`, 'copies', recorded, 'the states of its copies were not recorded');
    }
    return {
      status: vdiskStatus(vdisk, fault ? { ...findings, fault } : findings, versions, new Date(), chosen),
      report: (status) => {
        if (!findings.fault) report(context, object, vdisk, versions, status);
      },
    };
  },
};

const withSettled = (versions: readonly VersionJudged[], numbers: readonly number[], settledAt: number) =>
  versions.map((version) => (numbers.includes(version.number) ? { ...version, settledAt } : version));

/** An Event for copies whose state changed for a while, and for work that began or ended. */
function report(
  { record, quiet }: Context,
  object: KubeObject,
  vdisk: VDisk,
  versions: readonly VersionJudged[],
  status: ReturnType<typeof vdiskStatus>,
): void {
  for (const saying of workEvents(vdisk.status?.work ?? [], status.work ?? [])) record(object, saying);
  // Of a leader that has just begun the verdicts may not count yet.
  if (status === vdisk.status) return;
  const { namespace, name } = vdisk.metadata;
  const before = () => statesTold(vdisk.status, versions);
  const news = quiet.told.news(`VDisk ${keyFor(namespace, name)}`, statesNow(versions), { before, lastsMs });
  for (const saying of copyEvents(versions, news)) record(object, saying);
}
