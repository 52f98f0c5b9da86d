/**
 * The farm that the console is measured with: resources with their statuses on a real API server, rows in a real PostgreSQL, and a real operator. Another copy is said
 * to lead, so this one changes nothing and serves the API, as every copy does.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Database } from '../../../src/database/connection.ts';
import { addDevices } from '../../../src/database/devices.ts';
import { migrate } from '../../../src/database/migrate.ts';
import { project, snapshot } from '../../../src/database/project.ts';
import { applySessions } from '../../../src/database/servers.ts';
import type { Session } from '../../../src/farm/model.ts';
import type { Result } from '../../../src/kit/result.ts';
import { slices } from '../../../src/kit/slices.ts';
import { type Client, createClient } from '../../../src/kube/client.ts';
import { kinds } from '../../../src/kube/kinds.ts';
import { at, type Kind } from '../../../src/kube/object.ts';
import { KubeConfig } from '../../../src/kube/upstream.ts';
import { PROCESS_ENV } from '../../../src/reconcile/streamingserver/objects.ts';
import { binary } from '../../cluster/cluster.ts';
import { aConsoleFarm, type ConsoleFarm, type FarmSize, loadCopies } from '../../fakes/consolefarm.ts';
import { projectionOf } from '../../fakes/database.ts';
import { adminToken, startApiServer } from '../../integration/api-server.ts';
import { freePorts } from '../../setup/ports.ts';
import { startPostgres } from '../../setup/services.ts';
import { until } from '../../setup/time.ts';

const root = join(import.meta.dirname, '../../..');
const NAMESPACE = 'lab';
const OPERATORS = 'bootfarm';
/** As the image and the chart have it. */
const OPERATOR_ENV = { NODE_ENV: 'production', NODE_OPTIONS: PROCESS_ENV['NODE_OPTIONS'] };
const TICK_MS = 250;
/** So many rows a statement. */
const SLICE = 500;

export interface MeasuredFarm {
  readonly origin: string;
  readonly token: string;
  readonly operatorPid: number;
  /** So many devices a second end to stream, and stream again, one after the other through all of them. */
  change(perSecond: number): void;
  readonly changed: () => number;
  close(): Promise<void>;
}

export async function startFarmForConsole(size: Omit<FarmSize, 'nowMs'>): Promise<MeasuredFarm> {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-bench-console-'));
  const [postgres, kube] = await Promise.all([startPostgres(), startApiServer(join(folder, 'api'))]);
  const config = new KubeConfig();
  config.loadFromFile(kube.kubeconfig);
  const client = createClient(config);
  const database = must(connect({ uri: postgres.uri }));
  const made = aConsoleFarm({ ...size, nowMs: Date.now() });
  must(await migrate(postgres.uri));
  await fill(database, made);
  kubectl(kube.kubeconfig, ['apply', '--server-side', '-f', join(root, 'crds')]);
  const uri = Buffer.from(postgres.uri).toString('base64');
  kubectl(kube.kubeconfig, ['apply', '-f', '-'], manifests(uri));
  await makeResources(client, made, must(await snapshot(database))?.farm.id ?? '');

  const [port = 0, metrics = 0] = await freePorts(2);
  const log = openSync(join(folder, 'operator.log'), 'a');
  const flags = ['--namespaces', NAMESPACE, '--image', 'bootfarm:bench', '--lease-namespace', OPERATORS];
  const ports = ['--api-port', String(port), '--metrics-port', String(metrics)];
  const operator = spawn(join(root, 'dist/main.js'), ['operator', ...flags, ...ports], {
    env: { ...process.env, ...OPERATOR_ENV, KUBECONFIG: kube.kubeconfig, POD_NAME: 'bench' },
    stdio: ['ignore', log, log],
  });
  const told = () => readFileSync(join(folder, 'operator.log'), 'utf8');
  await until('the operator serves', () => told().includes('the API serves'), 60_000).catch((cause) => {
    throw new Error(told().slice(-2_000), { cause });
  });
  const changing = changes(database, made.contents.sessions);
  return {
    origin: `https://localhost:${port}/`,
    token: adminToken,
    operatorPid: operator.pid ?? 0,
    change: changing.begin,
    changed: changing.count,
    async close() {
      await changing.end();
      operator.kill('SIGKILL');
      await client.close();
      await database.close();
      await Promise.all([kube.stop(), postgres.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function fill(database: Database, made: ConsoleFarm): Promise<void> {
  const { devices, sessions, snapshot: rows } = made.contents;
  must(await project(database, projectionOf(rows)));
  for (const some of slices(devices, SLICE))
    must(await addDevices(database, some, { source: 'command', who: 'bench' }));
  for (const some of slices(sessions, SLICE))
    must(
      await applySessions(
        database,
        some.map((session) => ({ device: session.device, epoch: session.epoch, session, ended: false })),
      ),
    );
  await loadCopies(database, made);
}

/** The lease is another copy's for as long as this may take. */
const manifests = (uri: string): readonly object[] => [
  ...[NAMESPACE, OPERATORS].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'database', namespace: NAMESPACE }, data: { uri } },
  {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'bootfarm-operator', namespace: OPERATORS },
    spec: {
      holderIdentity: 'another',
      leaseDurationSeconds: 86_400,
      renewTime: new Date().toISOString().replace('Z', '000Z'),
    },
  },
];

async function makeResources(client: Client, made: ConsoleFarm, farmID: string): Promise<void> {
  const { farm, stores, vdisks, pools } = made.resources(farmID);
  const external = { database: { external: { secretRef: { name: 'database', key: 'uri' } } } };
  const put = async (kind: Kind, name: string, spec: object, status: object): Promise<void> => {
    must(await client.apply(at(kind, NAMESPACE, name), { spec }));
    must(await client.applyStatus(at(kind, NAMESPACE, name), status));
  };
  await put(kinds.Farm, farm.metadata.name, { ...farm.spec, ...external }, farm.status);
  for (const { metadata, spec, status } of stores) await put(kinds.Store, metadata.name, spec, status);
  for (const { metadata, spec, status } of pools) await put(kinds.StreamingServer, metadata.name, spec, status);
  for (const { metadata, spec, status } of vdisks) await put(kinds.VDisk, metadata.name, spec, status);
}

function changes(database: Database, sessions: readonly Session[]) {
  let count = 0;
  let epoch = Date.now();
  let last: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const tick = async (rows: number): Promise<void> => {
    epoch++;
    const some = Array.from({ length: rows }, (_, n) => sessions[(count + n) % sessions.length] as Session);
    const ended = Math.floor(count / sessions.length) % 2 === 0;
    const now = Date.now();
    must(
      await applySessions(
        database,
        some.map((session) =>
          ended
            ? { device: session.device, epoch, ended }
            : { device: session.device, epoch, ended, session: { ...session, epoch, since: now } },
        ),
      ),
    );
    count += rows;
  };
  return {
    begin(perSecond: number): void {
      const rows = Math.round((perSecond * TICK_MS) / 1_000);
      timer = setInterval(() => {
        last = last.then(() => tick(rows));
      }, TICK_MS);
    },
    count: () => count,
    async end(): Promise<void> {
      clearInterval(timer);
      await last;
    },
  };
}

function kubectl(kubeconfig: string, args: readonly string[], objects: readonly object[] = []): void {
  execFileSync(binary('kubectl'), ['--kubeconfig', kubeconfig, ...args], {
    input: objects.map((object) => JSON.stringify(object)).join('\n---\n'),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

function must<T>(answer: Result<T, { readonly message: string }>): T {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}
