/**
 * What the operator tells of its resources, as their status stands in its caches when it is scraped: what is gone is told no more. Every copy tells
 * the same, so a sum over copies counts twice.
 */
import { Gauge, type Registry } from 'prom-client';
import type { InformerView } from '../kube/informers.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Condition } from '../resources/conditions.ts';
import { parsedOf } from './context.ts';

export interface ResourceViews {
  readonly farms: View;
  readonly stores: View;
  readonly vdisks: View;
  readonly pools: View;
}
type View = Pick<InformerView, 'list'>;

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Nothing is told before `watch` was called. */
export interface ResourceMetrics {
  watch(views: ResourceViews): void;
}

export function resourceMetrics(registry: Registry): ResourceMetrics {
  let views: ResourceViews | undefined;
  const gauge = (name: string, help: string, labelNames: string[], samples: (views: ResourceViews) => Sample[]) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, value } of views ? samples(views) : []) this.set(labels, value);
      },
    });
  gauge('bootfarm_resource_ready', '1 while the resource is Ready', ['kind', 'namespace', 'name'], readiness);
  gauge('bootfarm_farm_devices', 'Devices of a Farm, by what they do', ['namespace', 'name', 'state'], devices);
  gauge('bootfarm_vdisk_copies', 'Copies of a VDisk on servers, by state', ['namespace', 'name', 'state'], copies);
  gauge(
    'bootfarm_copy_state',
    '1 of the state that a copy is in, while it is not UpToDate: 512 a VDisk at most',
    ['namespace', 'vdisk', 'version', 'server', 'state'],
    copyStates,
  );
  return {
    watch(all) {
      views = all;
    },
  };
}

const placeOf = ({ metadata: { namespace = '', name } }: KubeObject) => ({ namespace, name });

const readiness = ({ farms, stores, vdisks, pools }: ResourceViews): Sample[] =>
  [farms, stores, vdisks, pools]
    .flatMap((view) => view.list())
    .map((object) => {
      const { conditions = [] } = (object.status ?? {}) as { readonly conditions?: readonly Condition[] };
      const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
      return { labels: { kind: object.kind ?? '', ...placeOf(object) }, value: Number(isReady) };
    });

const devices = ({ farms }: ResourceViews): Sample[] =>
  farms.list().flatMap((object) => {
    const farm = parsedOf('Farm', object);
    const counts = Object.entries((farm.ok && farm.value.status.devices) || {});
    return counts.map(([state, value]) => ({ labels: { ...placeOf(object), state }, value }));
  });

const statusesOf = ({ vdisks }: ResourceViews) =>
  vdisks.list().map((object) => {
    const vdisk = parsedOf('VDisk', object);
    const { copies = [], versions = [] } = (vdisk.ok && vdisk.value.status) || {};
    return { ...placeOf(object), copies: copies.filter(({ surplus }) => !surplus), versions };
  });

/** A status leaves out copies that are right, and counts them: those of other properties among them. */
const copies = (views: ResourceViews): Sample[] =>
  statusesOf(views).flatMap(({ copies, versions, ...labels }) => {
    const counts = new Map<string, number>();
    for (const { state } of copies) if (state !== 'UpToDate') counts.set(state, (counts.get(state) ?? 0) + 1);
    const right = versions.reduce((sum, { upToDate = 0 }) => sum + upToDate, 0);
    const otherwise = (counts.get('PropertiesMissing') ?? 0) + (counts.get('PropertiesOutOfDate') ?? 0);
    if (right > otherwise) counts.set('UpToDate', right - otherwise);
    return [...counts].map(([state, value]) => ({ labels: { ...labels, state }, value }));
  });

/** A series each would be versions times servers: of those that are right the counts tell. */
const copyStates = (views: ResourceViews): Sample[] =>
  statusesOf(views).flatMap(({ namespace, name: vdisk, copies }) =>
    copies
      .filter(({ state }) => state !== 'UpToDate')
      .map(({ server, version, state }) => ({
        labels: { namespace, vdisk, version: String(version), server, state },
        value: 1,
      })),
  );
