/** Servers as they should run: what their Secrets hold, and the digest of all that restarts them. Pure. */
import { withRootFile } from '../../database/tls.ts';
import { storePath } from '../../farm/files.ts';
import { boundedOrders, type FarmOrder } from '../../farm/orders.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import { followerConfig } from '../../replica/config.ts';
import type { Farm, Store, StreamingServer, VDisk } from '../../resources/kinds.ts';
import { type Context, ofFarm, resources } from '../context.ts';
import { bootOfSite, storeRow } from '../projection.ts';
import { errandsOf, fileOrders } from '../vdisk/files.ts';
import { giveBackOrders, leaveOrders } from '../vdisk/giveback.ts';
import { type MergeRule, mergeOrders } from '../vdisk/merge.ts';
import { countedCopies } from '../vdisk/spread.ts';
import { type SeenServer, seenServers } from '../vdisk/volumes.ts';
import { isOver } from '../vdisk/work.ts';
import {
  DATABASE_CA_FILE,
  deployment,
  ORDERS_FILE,
  SERVER_SECRETS,
  type ServerPlan,
  serverConfig,
  settingsHash,
} from './objects.ts';

/** A server as it should run: what its Secret holds, and the digest of all that restarts it, the template of its pod too. */
export interface WantedServer {
  readonly plan: ServerPlan;
  readonly files: Readonly<Record<string, string>>;
  readonly settings: string;
}

export function wantedServer(
  plan: ServerPlan,
  serverUri: string,
  { database, primary, authority }: Infrastructure,
  orders: readonly FarmOrder[] = [],
): WantedServer {
  const files = {
    'server.json': `${JSON.stringify(serverConfig(plan), null, 2)}\n`,
    'database-uri': database.ca ? withRootFile(serverUri, DATABASE_CA_FILE) : serverUri,
    'database-ca.crt': database.ca ?? '',
    'redis.conf': primary
      ? followerConfig({
          primaryHost: primary.host,
          primaryPort: primary.port,
          followerPassword: primary.followerPassword,
          secrets: SERVER_SECRETS,
          socketPath: '/run/bootfarm/redis.sock',
          folder: '/data',
        })
      : '',
  };
  const template = JSON.stringify(deployment(plan, ''));
  const settings = settingsHash([...Object.values(files), authority.trust, template]);
  // What is ordered changes while a server runs, and restarts nothing.
  return { plan, files: { ...files, [ORDERS_FILE]: `${JSON.stringify(orders)}\n` }, settings };
}

/** What the servers of a pool stand on, where its preconditions hold. */
export interface Ground {
  readonly farm: Farm;
  readonly site: ServerPlan['site'];
  readonly runtime: FarmRuntime;
  readonly serverUri: string;
}

/** What each of these nodes should run. */
export function wantedServers(
  { informers, settings: { image, release, priorityClassName } }: Context,
  pool: StreamingServer,
  { farm, site, runtime, serverUri }: Ground,
  nodes: readonly string[],
): ReadonlyMap<string, WantedServer> {
  const shared: Omit<ServerPlan, 'node'> = {
    pool,
    farm: farm.metadata.name,
    lineage: runtime.inputs.lineage,
    site,
    image,
    release,
    httpPort: bootOfSite(farm.spec, site).http.port,
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
  };
  const { namespace } = pool.metadata;
  const ordered = ordersOf(
    {
      vdisks: resources('VDisk', informers.vdisks, namespace).filter(ofFarm(farm.metadata.name)),
      stores: resources('Store', informers.stores, namespace),
    },
    farm.spec.versions,
    Math.floor(Date.now() / 1_000),
    usesOf(runtime),
    seenServers(runtime.servers),
  );
  return new Map(
    nodes.map((node) => [node, wantedServer({ ...shared, node }, serverUri, runtime.inputs, ordered(node))]),
  );
}

interface Resources {
  /** Of one farm. */
  readonly vdisks: readonly VDisk[];
  readonly stores: readonly Store[];
}

/** What is ordered of a server, by what the statuses say. */
export function ordersOf(
  { vdisks, stores }: Resources,
  rule: MergeRule | undefined,
  nowSeconds: number,
  isUsed: ReturnType<typeof usesOf>,
  seen: readonly SeenServer[],
): (server: string) => readonly FarmOrder[] {
  const rows = stores.map(storeRow);
  const placed = vdisks.flatMap((vdisk) => {
    const { name } = vdisk.spec.storeRef;
    const store = stores.find(({ metadata }) => metadata.name === name);
    const row = rows.find((one) => one.name === name);
    if (!store || !row || !vdisk.status || isBetween(vdisk)) return [];
    const status = { ...vdisk.status, copies: countedCopies(vdisk.status, store, nowSeconds) };
    const of = errandsOf({ vdisk, status, servers: store.status?.servers ?? [], nowSeconds });
    return [{ vdisk, counted: { ...vdisk, status }, row, of }];
  });
  const leaves = vdisks.flatMap((vdisk) => {
    const store = rows.find(({ name }) => name === vdisk.spec.storeRef.name);
    const isTold = vdisk.status?.store === vdisk.spec.storeRef.name;
    const old = rows.filter(({ name }) => vdisk.status?.movingFrom?.includes(name));
    return store && isTold ? old.map((from) => ({ vdisk, store, from })) : [];
  });
  const merges = { vdisks: placed.map(({ counted }) => counted), stores: rows, rule, nowSeconds };
  const work = vdisks.flatMap(({ status }) => status?.work ?? []).filter((job) => !isOver(job));
  return (server) => {
    const going = new Set(work.filter((job) => job.server === server).map(({ id }) => id));
    const orders = [
      ...mergeOrders(server, merges),
      ...placed.flatMap(({ vdisk, row, of }) => [
        ...fileOrders(server, vdisk, of, storePath(row, server)),
        ...giveBackOrders(server, { vdisk, store: row, seen, isUsed: isUsed(server, vdisk.metadata.name), nowSeconds }),
      ]),
      ...leaves.flatMap(({ vdisk, store, from }) => leaveOrders(server, from, { vdisk, store, seen, nowSeconds })),
    ];
    return boundedOrders(orders, ({ id }) => going.has(id));
  };
}

/** Its status tells of another store than the spec names, or its files are in two: what is ordered is ordered in one. */
const isBetween = ({ spec, status }: VDisk): boolean =>
  (status?.store ?? spec.storeRef.name) !== spec.storeRef.name || (status?.movingFrom ?? []).length > 0;

/** Whether devices stream a vDisk from a server; one that does not say which of them is taken to. */
const usesOf =
  ({ servers }: Pick<FarmRuntime, 'servers'>) =>
  (server: string, vdisk: string): boolean => {
    const status = servers.find(({ name }) => name === server)?.status;
    return status?.uses?.some((use) => use.vdisk === vdisk && use.devices > 0) ?? true;
  };
