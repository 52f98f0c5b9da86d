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

const copies = ({ vdisks }: ResourceViews): Sample[] =>
  vdisks.list().flatMap((object) => {
    const vdisk = parsedOf('VDisk', object);
    const counts = new Map<string, number>();
    for (const { state } of (vdisk.ok && vdisk.value.status.copies) || [])
      counts.set(state, (counts.get(state) ?? 0) + 1);
    return [...counts].map(([state, value]) => ({ labels: { ...placeOf(object), state }, value }));
  });
