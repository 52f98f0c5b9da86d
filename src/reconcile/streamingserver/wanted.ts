/** Servers as they should run: what their Secrets hold, and the digest of all that restarts them. Pure. */
import { withRootFile } from '../../database/tls.ts';
import type { MergeOrder } from '../../farm/merge.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import { followerConfig } from '../../replica/config.ts';
import type { Farm, StreamingServer } from '../../resources/kinds.ts';
import { type Context, resources } from '../context.ts';
import { bootOfSite, storeRow } from '../projection.ts';
import { mergeOrders } from '../vdisk/merge.ts';
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
  orders: readonly MergeOrder[] = [],
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
  return { plan, files: { ...files, [ORDERS_FILE]: `${JSON.stringify(orders, null, 2)}\n` }, settings };
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
  const sources = {
    vdisks: resources('VDisk', informers.vdisks, namespace).filter(
      ({ spec }) => spec.farmRef.name === farm.metadata.name,
    ),
    stores: resources('Store', informers.stores, namespace).flatMap((store) => storeRow(store) ?? []),
    rule: farm.spec.versions,
    nowSeconds: Math.floor(Date.now() / 1_000),
  };
  return new Map(
    nodes.map((node) => [
      node,
      wantedServer({ ...shared, node }, serverUri, runtime.inputs, mergeOrders(node, sources)),
    ]),
  );
}
