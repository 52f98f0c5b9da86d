/** How long a committed change takes until a follower gives it back, while sessions change at 5,000 a second. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { connect } from '../../src/database/connection.ts';
import { migrate } from '../../src/database/migrate.ts';
import { project } from '../../src/database/project.ts';
import { applySessions } from '../../src/database/servers.ts';
import type { Fault, Result } from '../../src/kit/result.ts';
import { kindKey } from '../../src/replica/layout.ts';
import { READER } from '../../src/replica/link.ts';
import { startProjector } from '../../src/replica/projector.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aDevice } from '../builders/farm.ts';
import { aFarm, aSession } from '../builders/rows.ts';
import { loadDatabase, projectionOf } from '../fakes/database.ts';
import { startReplica } from '../fakes/replica.ts';
import { startPostgres } from '../setup/services.ts';
import { until } from '../setup/time.ts';
import { figure, type Run } from './figure.ts';

const CHANGES_PER_SECOND = 5_000;
const SECONDS = 5;
/** A server writes its sessions in statements of many rows; so do we, each 20 ms. */
const TICK_MS = 20;
const BAR_MS = 50;

export const run: Run = async function* () {
  const postgres = await startPostgres();
  const replica = await startReplica();
  const database = value(connect({ uri: postgres.uri }));
  value(await migrate(postgres.uri));
  await loadDatabase(database, { snapshot: aFarm(), devices: [aDevice()], sessions: [] });
  const { farmId } = value(await project(database, projectionOf(aFarm())));
  const projector = startProjector({
    database,
    redis: replica.redis,
    farmId,
    epoch: 1,
    log: silentLogger,
  });
  const reader = new Redis({ path: replica.follower.socketPath, ...READER });
  try {
    await until('a follower follows', () => projector.health.followers === 1, 30_000);
    const rows = Math.round((CHANGES_PER_SECOND * TICK_MS) / 1_000);
    const waits: Promise<number>[] = [];
    const begun = Date.now();
    for (let epoch = 1; epoch <= (SECONDS * 1_000) / TICK_MS; epoch++) {
      const sessions = Array.from({ length: rows }, (_, n) => aSession({ device: `d${n}`, epoch }));
      const changes = sessions.map((session) => ({ device: session.device, epoch, session, ended: false }));
      value(await applySessions(database, changes));
      const committed = performance.now();
      waits.push(seen(reader, `d${rows - 1}`, epoch).then((at) => at - committed));
      await delay(Math.max(0, begun + epoch * TICK_MS - Date.now()));
    }
    const elapsed = (Date.now() - begun) / 1_000;
    const latencies = (await Promise.all(waits)).sort((a, b) => a - b);
    const p = (part: number): number => latencies[Math.ceil(latencies.length * part) - 1] ?? Number.NaN;
    const base = { bench: 'replica' };
    yield figure({ ...base, figure: 'changesPerSecond', unit: '1/s', value: (rows * latencies.length) / elapsed });
    yield figure({ ...base, figure: 'changeToFollower.p50', unit: 'ms', value: p(0.5) });
    yield figure({ ...base, figure: 'changeToFollower.p99', unit: 'ms', value: p(0.99) }, undefined, BAR_MS);
  } finally {
    reader.disconnect();
    await projector.close();
    await database.close();
    await replica.close();
    await postgres.close();
  }
};

/** When the follower first shows this epoch or a later one. */
async function seen(reader: Redis, device: string, epoch: number): Promise<number> {
  await until('the change arrives', async () => {
    const text = await reader.hget(kindKey('session'), device);
    return text !== null && (JSON.parse(text) as { epoch: number }).epoch >= epoch;
  });
  return performance.now();
}

function value<T>(result: Result<T, Fault>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}
