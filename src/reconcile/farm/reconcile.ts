/** One look at a Farm: what it stands on, its rows in the database, its replica, its servers; then its status. */

import { sql } from 'kysely';
import { listDevices } from '../../database/devices.ts';
import { project } from '../../database/project.ts';
import { applyStatusChanged } from '../../kube/apply.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, partsOf } from '../../kube/object.ts';
import { lookAgain, type Outcome, outcomeOf, settled } from '../../kube/outcome.ts';
import type { Farm } from '../../resources/kinds.ts';
import {
  type Context,
  forbiddenImages,
  forbiddenPaths,
  LOOK_SETTLED_MS,
  LOOK_UNSETTLED_MS,
  ofFarm,
  resource,
  resources,
  tellUnreadable,
} from '../context.ts';
import { databaseName } from '../names.ts';
import { projectionOf } from '../projection.ts';
import { serversOfFarm } from '../servers.ts';
import { ensureInfrastructure } from './infrastructure.ts';
import type { FarmRuntime } from './runtimes.ts';
import { type FarmFindings, farmStatus } from './status.ts';

/** Device counts are told at most this often. */
const COUNT_EVERY_MS = 30_000;
const counted = new WeakMap<FarmRuntime, { readonly at: number; readonly known: number }>();

export async function reconcileFarm(context: Context, key: string, signal: AbortSignal): Promise<Outcome> {
  const found = resource('Farm', context.informers.farms, key);
  if (!found) {
    await context.runtimes.end(key);
    return settled;
  }
  const target = at(kinds.Farm, partsOf(key).namespace, partsOf(key).name);
  const { object, parsed } = found;
  if (!parsed.ok) return tellUnreadable(context, target, object, parsed.error, signal);
  const farm = parsed.value;
  const findings = await look(context, key, farm, signal);
  const status = quieted(farm, farmStatus(farm, findings, new Date()));
  tell(context, object, farm, status);
  const written = await applyStatusChanged(context.client, target, status, object, { signal });
  if (!written.ok) return outcomeOf(written.error);
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return lookAgain(ready ? LOOK_SETTLED_MS : LOOK_UNSETTLED_MS);
}

const UNKNOWN_DATABASE = {
  reachable: false,
  since: 0,
  fault: { code: 'Unreachable', message: 'the farm database is being made' },
} as const;

async function look(context: Context, key: string, farm: Farm, signal: AbortSignal): Promise<FarmFindings> {
  const source = farm.spec.database.external?.secretRef;
  const databaseSource = source
    ? `Secret ${source.name}, key ${source.key ?? 'uri'}`
    : `Secret ${databaseName(farm.metadata.name)}`;
  const nothing: FarmFindings = { database: databaseSince(farm), databaseSource, servers: [] };
  const refused = refusal(context, farm);
  if (refused) return { ...nothing, fault: { stalled: true, ...refused } };

  const made = await ensureInfrastructure(context, farm, signal);
  if (!made.ok) {
    const { code, message } = made.error;
    return { ...nothing, fault: { stalled: code === 'NotSupported', reason: code, message } };
  }
  const runtime = await context.runtimes.ensure(key, made.value);
  if ('code' in runtime)
    return {
      ...nothing,
      fault: { stalled: false, reason: 'SecretMissing', message: `${databaseSource}: ${runtime.message}` },
    };
  runtime.want(serversOfFarm(context, farm));
  const farmId = await bringUp(context, farm, runtime);
  return {
    database: runtime.database.state,
    ...((farmId ?? farm.status?.database?.farmID) ? { farmId: farmId ?? farm.status?.database?.farmID ?? '' } : {}),
    databaseSource,
    ...(runtime.replica ? { replica: runtime.replica } : {}),
    servers: runtime.servers,
    ...(farmId === undefined && runtime.database.state.reachable
      ? { fault: { stalled: false, reason: 'Progressing', message: 'the rows of the farm database are being written' } }
      : {}),
    ...(await knownDevices(runtime)),
  };
}

/** Since when it is away is kept from the status, so that a new leader does not say that it went just now. */
const databaseSince = (farm: Farm): FarmFindings['database'] => {
  const since = Date.parse(farm.status?.database?.offlineSince ?? '');
  return { ...UNKNOWN_DATABASE, since: Number.isNaN(since) ? Math.floor(Date.now() / 1_000) * 1_000 : since };
};

function refusal(
  { settings }: Context,
  { spec }: Farm,
): { reason: 'NotAllowed' | 'NotSupported'; message: string } | undefined {
  const embedded = [spec.database.embedded, spec.replica?.embedded].filter((found) => found !== undefined);
  const paths = forbiddenPaths(
    settings,
    embedded.flatMap(({ storage }) => storage?.hostPath ?? []),
  );
  if (paths.length > 0)
    return {
      reason: 'NotAllowed',
      message: `host path ${paths.join(', ')} is not on the operator's list: ${settings.allowedHostPaths.join(', ') || 'it is empty'}`,
    };
  const images = forbiddenImages(
    settings,
    embedded.map(({ image }) => image),
  );
  if (images.length > 0)
    return {
      reason: 'NotAllowed',
      message: `image ${images.join(', ')} is not on the operator's list: ${settings.allowedImages.join(', ') || 'it is empty'}`,
    };
  if (spec.security?.stream === 'Encrypted')
    return {
      reason: 'NotSupported',
      message: 'spec.security.stream Encrypted is not supported in this release: use Authenticated',
    };
  return undefined;
}

/** Migrations, rows, replica. Gives the farm's id; undefined while the database is away. */
async function bringUp(context: Context, farm: Farm, runtime: FarmRuntime): Promise<string | undefined> {
  const { name, namespace = 'default' } = farm.metadata;
  const { informers, log } = context;
  const migration = await runtime.migrate();
  if (migration) {
    await runtime.database.run((db) => sql`select 1`.execute(db)); // its breaker learns of the fault by asking, too
    log.warn({ farm: name, ...migration }, 'database not migrated');
    return undefined;
  }
  const projected = await project(
    runtime.database,
    projectionOf({
      farm,
      stores: resources('Store', informers.stores, namespace).filter(ofFarm(name)),
      vdisks: resources('VDisk', informers.vdisks, namespace).filter(ofFarm(name)),
      pools: resources('StreamingServer', informers.pools, namespace).filter(ofFarm(name)),
    }),
  );
  if (!projected.ok) {
    log.warn({ farm: name, ...projected.error }, 'farm not projected');
    return undefined;
  }
  runtime.project(projected.value.farmId);
  return projected.value.farmId;
}

async function knownDevices(runtime: FarmRuntime): Promise<{ knownDevices?: number }> {
  const last = counted.get(runtime);
  if (last && performance.now() - last.at < COUNT_EVERY_MS) return { knownDevices: last.known };
  const devices = await listDevices(runtime.database);
  if (!devices.ok) return last ? { knownDevices: last.known } : {};
  counted.set(runtime, { at: performance.now(), known: devices.value.length });
  return { knownDevices: devices.value.length };
}

const lastCounts = new Map<string, number>();

/** Counts that moved within the last 30 s stay as they are written; everything else is told at once. */
function quieted(farm: Farm, status: NonNullable<Farm['status']>): NonNullable<Farm['status']> {
  const before = farm.status?.devices;
  if (!before || JSON.stringify(before) === JSON.stringify(status.devices)) return status;
  const key = `${farm.metadata.namespace}/${farm.metadata.name}`;
  const now = performance.now();
  if (now - (lastCounts.get(key) ?? Number.NEGATIVE_INFINITY) < COUNT_EVERY_MS) return { ...status, devices: before };
  lastCounts.set(key, now);
  return status;
}

/** An Event when the database goes and when it returns. */
function tell(
  { record }: Context,
  object: Parameters<Context['record']>[0],
  farm: Farm,
  status: NonNullable<Farm['status']>,
): void {
  const [before, after] = [farm.status?.database?.state, status.database?.state];
  if (before === after || before === undefined || after === undefined) return;
  record(object, {
    type: after === 'Reachable' ? 'Normal' : 'Warning',
    reason: after === 'Reachable' ? 'DatabaseAnswers' : 'DatabaseUnreachable',
    action: 'Reconcile',
    note: status.database?.message ?? 'the farm database answers again',
  });
}
