/** Chains that become a new base by themselves: what a VDisk says of its own, and what is ordered of which server. Pure. */
import { parse } from 'node:path';
import { isDifferenceName, storePath, versionOfStem } from '../../farm/files.ts';
import { type MergeVerdict, mergeSubject, mergeVerdict } from '../../farm/merge.ts';
import type { Store as StoreRow } from '../../farm/model.ts';
import { type MergeOrder, orderId, orderIds } from '../../farm/orders.ts';
import { type Claim, rfc3339 } from '../../resources/conditions.ts';
import type { FarmSpec, VDisk } from '../../resources/kinds.ts';
import { isOver } from './work.ts';

export type MergeRule = NonNullable<FarmSpec['versions']>;
type Status = NonNullable<VDisk['status']>;

/** By what its status says. */
export function mergeOf(
  fileName: string,
  { versions = [], bootVersion, unmanaged = [], work = [] }: Partial<Status>,
  rule: MergeRule,
  nowSeconds: number,
): MergeVerdict {
  return mergeVerdict({
    versions,
    boots: bootVersion,
    unmanaged: unmanaged.flatMap((name) => {
      const number = versionOfStem(parse(name).name, fileName);
      return number === undefined ? [] : [{ number, isDifference: isDifferenceName(name) }];
    }),
    maxChain: rule.maxChain,
    ...(rule.mergeAt === undefined ? {} : { mergeAt: rule.mergeAt }),
    isBusy: work.some((job) => !isOver(job)),
    nowSeconds,
  });
}

/** Nothing is said of a chain that is as short as it should be. */
export function mergeClaim(
  { namespace, name }: VDisk['metadata'],
  verdict: MergeVerdict,
  maxChain: number,
): Omit<Claim, 'observedGeneration'>[] {
  const long = `its chain is longer than ${maxChain} (spec.versions.maxChain of the Farm)`;
  const claim = (reason: Claim['reason'], message: string) => [
    { type: 'MergePending', status: 'True', reason, message: `${long}: ${message}` } as const,
  ];
  switch (verdict.kind) {
    case 'None':
      return [];
    case 'Made':
      return claim(
        'MergeReady',
        `version ${verdict.version} lies there and is not named: release it by \`bootfarm vdisk promote ${namespace}/${name} ${verdict.version}\`, and the other servers take it`,
      );
    case 'Waits':
      return claim(
        'MergeLater',
        `version ${verdict.version} lies there, a difference of it that is not named: release it, or remove it`,
      );
    case 'Later':
      return claim('MergeLater', `it is merged from ${rfc3339(new Date(verdict.at * 1_000))} on`);
    default:
      return claim('Merging', 'a server makes one base of it; status.work says how far it is');
  }
}

export interface OrderSources {
  /** Those of one farm. */
  readonly vdisks: readonly VDisk[];
  readonly stores: readonly StoreRow[];
  readonly rule: MergeRule | undefined;
  readonly nowSeconds: number;
}

/** What this server is to merge. Of several that have a version right it is the first by its name; one that works already goes on. */
export function mergeOrders(server: string, { vdisks, stores, rule, nowSeconds }: OrderSources): readonly MergeOrder[] {
  if (!rule) return [];
  return vdisks.flatMap(({ metadata, spec, status = {} }): readonly MergeOrder[] => {
    const store = stores.find(({ name }) => name === spec.storeRef.name);
    const verdict = mergeOf(spec.fileName, status, rule, nowSeconds);
    const { bootVersion, copies = [], work = [] } = status;
    if (!store || bootVersion === undefined) return [];
    const subject = mergeSubject(metadata.uid ?? metadata.name, bootVersion);
    const place = { folder: storePath(store, server), fileName: spec.fileName, version: bootVersion };
    const ordered = (id: string): MergeOrder => ({ id, kind: 'merge', ...place });
    if (verdict.kind === 'Working') {
      // Only what was ordered here: a server that says more orders nothing by that.
      const going = work.filter((job) => job.server === server && !isOver(job)).map(({ id }) => id);
      return orderIds(subject, nowSeconds)
        .filter((id) => going.includes(id))
        .map(ordered);
    }
    // Who is not heard may be merging it, or have merged it.
    if (copies.some(({ state }) => state === 'ServerUnreachable')) return [];
    const [first] = copies
      .filter(({ version, state, surplus }) => version === bootVersion && state === 'UpToDate' && !surplus)
      .map((copy) => copy.server)
      .sort();
    return verdict.kind === 'Due' && first === server ? [ordered(orderId(subject, nowSeconds))] : [];
  });
}
