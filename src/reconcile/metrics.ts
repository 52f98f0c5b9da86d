/**
 * What the operator tells of its resources, as their status stands in its caches when it is scraped: what is gone is told no more. Every copy tells
 * the same, so a sum over copies counts twice.
 */
import { Gauge, type Registry } from 'prom-client';
import type { InformerView } from '../kube/informers.ts';
import type { KubeObject } from '../kube/object.ts';
import { type Condition, type ConditionType, TYPES } from '../resources/conditions.ts';
import { SERVER_STATES } from '../resources/streamingserver.ts';
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
  gauge(
    'bootfarm_resource_condition',
    '1 while the condition of the resource is True; those that say that something is wrong are 0 while they are absent',
    ['kind', 'namespace', 'name', 'type'],
    conditions,
  );
  gauge('bootfarm_farm_devices', 'Devices of a Farm, by what they do', ['namespace', 'name', 'state'], devices);
  gauge('bootfarm_farm_servers', 'Servers of a Farm: ready, and wanted', ['namespace', 'name', 'state'], farmServers);
  gauge(
    'bootfarm_farm_followers',
    'Servers of a Farm whose own copy of the replica follows, and all',
    ['namespace', 'name', 'state'],
    followers,
  );
  gauge('bootfarm_site_servers', 'Ready servers of a site', ['namespace', 'farm', 'site'], siteServers);
  gauge(
    'bootfarm_farm_keys_change',
    '1 while keys, passwords or the authority of a Farm change and are on their way to its servers',
    ['namespace', 'name', 'what'],
    keysChange,
  );
  gauge('bootfarm_pool_servers', 'Servers of a StreamingServer, by state', ['namespace', 'name', 'state'], poolServers);
  gauge(
    'bootfarm_server_state',
    '1 of the state that a server is in, while it does not stream',
    ['namespace', 'pool', 'server', 'state'],
    serverStates,
  );
  gauge(
    'bootfarm_vdisk_boot_copies',
    'Copies of the version that Production devices boot: right, wanted, and the least that the spec asks for',
    ['namespace', 'name', 'state'],
    bootCopies,
  );
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

const all = ({ farms, stores, vdisks, pools }: ResourceViews): readonly KubeObject[] =>
  [farms, stores, vdisks, pools].flatMap((view) => view.list());

const conditionsOf = (object: KubeObject): readonly Condition[] =>
  ((object.status ?? {}) as { readonly conditions?: readonly Condition[] }).conditions ?? [];

/** Absent is as good as False: it is told, so that an alert on it ends. */
const ABNORMAL: readonly ConditionType[] = ['Reconciling', 'Stalled', 'Degraded'];

const conditions = (views: ResourceViews): Sample[] =>
  all(views).flatMap((object) => {
    const told = conditionsOf(object);
    const absent = ABNORMAL.filter((type) => !told.some((condition) => condition.type === type));
    return [
      ...told
        .filter(({ type }) => type in TYPES)
        .map(({ type, status }) => ({ type, value: Number(status === 'True') })),
      ...absent.map((type) => ({ type, value: 0 })),
    ].map(({ type, value }) => ({ labels: { kind: object.kind ?? '', ...placeOf(object), type }, value }));
  });

const readiness = (views: ResourceViews): Sample[] =>
  all(views).map((object) => {
    const isReady = conditionsOf(object).some(({ type, status }) => type === 'Ready' && status === 'True');
    return { labels: { kind: object.kind ?? '', ...placeOf(object) }, value: Number(isReady) };
  });

const farmsOf = ({ farms }: ResourceViews) =>
  farms.list().flatMap((object) => {
    const farm = parsedOf('Farm', object);
    return farm.ok ? { ...placeOf(object), status: farm.value.status } : [];
  });
type Place = Readonly<Record<'namespace' | 'name', string>>;
const byState = ({ namespace, name }: Place, counts: object = {}): Sample[] =>
  Object.entries(counts).map(([state, value]) => ({ labels: { namespace, name, state }, value }));

const devices = (views: ResourceViews): Sample[] =>
  farmsOf(views).flatMap((farm) => byState(farm, farm.status.devices));
const farmServers = (views: ResourceViews): Sample[] =>
  farmsOf(views).flatMap((farm) => byState(farm, farm.status.servers));
const followers = (views: ResourceViews): Sample[] =>
  farmsOf(views).flatMap((farm) => byState(farm, farm.status.replica?.followers));
const siteServers = (views: ResourceViews): Sample[] =>
  farmsOf(views).flatMap(({ namespace, name: farm, status: { sites = [] } }) =>
    sites.map(({ name: site, servers = 0 }) => ({ labels: { namespace, farm, site }, value: servers })),
  );
const keysChange = (views: ResourceViews): Sample[] =>
  farmsOf(views).flatMap(({ namespace, name, status: { keys } }) => {
    const states = { keys: keys?.state, passwords: keys?.passwords?.state, ca: keys?.ca?.state };
    return Object.entries(states).flatMap(([what, state]) =>
      state === undefined ? [] : { labels: { namespace, name, what }, value: Number(state === 'Distributing') },
    );
  });

const poolsOf = ({ pools }: ResourceViews) =>
  pools.list().map((object) => {
    const pool = parsedOf('StreamingServer', object);
    return { ...placeOf(object), servers: (pool.ok && pool.value.status.servers) || [] };
  });
const poolServers = (views: ResourceViews): Sample[] =>
  poolsOf(views).flatMap(({ servers, ...pool }) =>
    byState(
      pool,
      Object.fromEntries(SERVER_STATES.map((state) => [state, servers.filter((one) => one.state === state).length])),
    ),
  );
const serverStates = (views: ResourceViews): Sample[] =>
  poolsOf(views).flatMap(({ namespace, name: pool, servers }) =>
    servers
      .filter(({ state }) => state !== 'Streaming')
      .map(({ name: server, state }) => ({ labels: { namespace, pool, server, state }, value: 1 })),
  );

const statusesOf = ({ vdisks }: ResourceViews) =>
  vdisks.list().map((object) => {
    const vdisk = parsedOf('VDisk', object);
    const { copies = [], versions = [], bootVersion } = (vdisk.ok && vdisk.value.status) || {};
    const minCopies = vdisk.ok ? vdisk.value.spec.minCopies : undefined;
    const wanted = copies.filter(({ surplus }) => !surplus);
    return { ...placeOf(object), copies: wanted, versions, bootVersion, minCopies };
  });

const bootCopies = (views: ResourceViews): Sample[] =>
  statusesOf(views).flatMap(({ versions, bootVersion, minCopies = 1, ...vdisk }) => {
    const boot = versions.find(({ number }) => number === bootVersion);
    return boot ? byState(vdisk, { right: boot.upToDate ?? 0, wanted: boot.copies ?? 0, least: minCopies }) : [];
  });

/** A status leaves out copies that are right, and counts them: those of other properties among them. */
const copies = (views: ResourceViews): Sample[] =>
  statusesOf(views).flatMap(({ copies, versions, namespace, name }) => {
    const counts = new Map<string, number>();
    for (const { state } of copies) if (state !== 'UpToDate') counts.set(state, (counts.get(state) ?? 0) + 1);
    const right = versions.reduce((sum, { upToDate = 0 }) => sum + upToDate, 0);
    const otherwise = (counts.get('PropertiesMissing') ?? 0) + (counts.get('PropertiesOutOfDate') ?? 0);
    if (right > otherwise) counts.set('UpToDate', right - otherwise);
    return byState({ namespace, name }, Object.fromEntries(counts));
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
