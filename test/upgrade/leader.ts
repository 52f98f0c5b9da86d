/**
 * A leader of the release that this tree is: migrates, writes what resources say, fills the replica. Says `leads` when the replica is in sync, and
 * leads until its input ends. Argument: JSON of `LeaderOptions`.
 */
import { once } from 'node:events';
import { connect } from '../../src/database/connection.ts';
import { lead } from '../../src/database/identity.ts';
import { migrate } from '../../src/database/migrate.ts';
import { project } from '../../src/database/project.ts';
import type { Fault, Result } from '../../src/kit/result.ts';
import { projectionOf } from '../../src/reconcile/projection.ts';
import type { RedisAccess } from '../../src/replica/link.ts';
import { startProjector } from '../../src/replica/projector.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';

export interface LeaderOptions {
  readonly uri: string;
  readonly redis: RedisAccess;
  /** Fields of the VDisk's spec that this release knows. */
  readonly vdisk: object;
}

function value<T>(result: Result<T, Fault>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

const { uri, redis, vdisk } = JSON.parse(process.argv[2] ?? '') as LeaderOptions;
value(await migrate(uri));
const database = value(connect({ uri }));
const owner = { uid: 'farm', name: 'lab/farm' };
const epoch = value(await lead(database, { owner, floor: 0 }));
const resources = { farm: aFarm(), stores: [aStore()], pools: [aStreamingServer()], vdisks: [aVDisk({ spec: vdisk })] };
const { farmId } = value(await project(database, projectionOf(resources)));
const synced = Promise.withResolvers<void>();
const projector = startProjector({
  ...{ database, redis, farmId, epoch, settledMs: 0, log: silentLogger },
  onState: ({ state }) => state === 'InSync' && synced.resolve(),
});
await synced.promise;
process.stdout.write('leads\n');
await once(process.stdin.resume(), 'end');
await projector.close();
await database.close();
