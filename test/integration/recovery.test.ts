/**
 * A farm that is made again over the data of an earlier one, on a real API server, PostgreSQL and Redis: its Secrets are gone, its database takes no
 * password, and the recovery key with the copy beside the data gives them back. The processes of the pods are run here as their objects say.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { keysCommand } from '../../src/commands/keys.ts';
import { ok } from '../../src/kit/result.ts';
import { type Client, createClient } from '../../src/kube/client.ts';
import { kinds } from '../../src/kube/kinds.ts';
import { at, type Kind, type KubeObject } from '../../src/kube/object.ts';
import { KubeConfig } from '../../src/kube/upstream.ts';
import { INIT_DATABASE } from '../../src/reconcile/farm/objects.ts';
import { RECOVERY_KEY_ANNOTATION } from '../../src/reconcile/farm/recovery.ts';
import { decodeData } from '../../src/reconcile/secrets.ts';
import type { Farm } from '../../src/resources/kinds.ts';
import { binary } from '../cluster/cluster.ts';
import { mountSecret } from '../fakes/mount.ts';
import { fakeTerminal, type Said } from '../fakes/terminal.ts';
import { until } from '../setup/time.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const NAMESPACE = 'lab';
const DEADLINE_MS = 60_000;
const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-recovery-'));
const [uid = '', gid = ''] = ['-u', '-g'].map((flag) =>
  execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim(),
);
const asPostgres = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--pdeathsig', 'KILL'];

let api: ApiServer;
let client: Client;
const running: ChildProcess[] = [];

const value = <T>(answer: { ok: true; value: T } | { ok: false; error: { message: string } }): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};
const of = (kind: Kind, name: string) => at(kind, NAMESPACE, name);
const get = async <T extends KubeObject>(kind: Kind, name: string): Promise<T> =>
  value(await client.get<T>(of(kind, name)));
const farm = async (): Promise<Farm> => (await get(kinds.Farm, 'farm')) as unknown as Farm;
const there = <T extends KubeObject>(kind: Kind, name: string): Promise<T> =>
  until(`${kind.kind} ${name}`, () => get<T>(kind, name), DEADLINE_MS);
const condition = ({ status }: Farm, type: string) => status?.conditions?.find((found) => found.type === type);
const SETS = ['farm-database', 'farm-replica'];
/** As the controller of StatefulSets would: what they ask for is so. */
async function roll(): Promise<void> {
  for (const name of SETS) {
    const { metadata } = await get(kinds.StatefulSet, name);
    const status = { observedGeneration: metadata.generation, replicas: 1, readyReplicas: 1 };
    value(await client.patch(of(kinds.StatefulSet, name), { status }, { subresource: 'status' }));
  }
}
const ready = () =>
  until(
    'Ready',
    async () => {
      await roll();
      return condition(await farm(), 'Ready')?.status === 'True';
    },
    DEADLINE_MS,
  );

function run(command: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: 'ignore', env, cwd: root });
  running.push(child);
  return child;
}
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
const startOperator = (): ChildProcess => {
  const names = ['--namespaces', NAMESPACE, '--lease-namespace', NAMESPACE];
  const args = ['operator', '--image', 'bootfarm:dev', '--allowed-host-paths', '/', ...names, '--metrics-port', '0'];
  const env = { ...process.env, KUBECONFIG: api.kubeconfig, POD_NAME: 'operator-0' };
  return run(['setpriv', '--pdeathsig', 'KILL', process.execPath, 'src/main.ts', ...args], env);
};

/** `bootfarm keys …`, with `fed` in standard input. */
async function keys(args: readonly string[], fed = ''): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  const unused = async () => '';
  const input = { isTyped: false, readAll: async () => fed, ask: unused, file: unused };
  const command = keysCommand(terminal, () => ok(createClient(kubeConfig())), input);
  await command.parseAsync([...args, '--farm', `${NAMESPACE}/farm`], { from: 'user' });
  return said;
}
function kubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(api.kubeconfig);
  return config;
}

type Service = KubeObject & { readonly spec: { readonly clusterIP: string } };
/** As the kubelet does, from what the API has now; one that is not there is an empty folder. */
async function mount(name: string, where: string): Promise<void> {
  const secret = await client.get<KubeObject>(of(kinds.Secret, name));
  mountSecret(join(folder, where), secret.ok ? decodeData(secret.value) : {}, Number(gid));
}

/** The primary of the replica, at its Service's address, which is on the loopback interface. */
async function startReplica(): Promise<ChildProcess> {
  const { spec } = await there<Service>(kinds.Service, 'farm-replica');
  await there(kinds.Secret, 'farm-replica');
  await mount('farm-replica', 'replica-secret');
  const [data, secrets] = [mkdtempSync(join(folder, 'replica-')), join(folder, 'replica-secret')];
  const config = readFileSync(join(secrets, 'redis.conf'), 'utf8').replaceAll('"/data"', `"${data}"`);
  writeFileSync(join(data, 'redis.conf'), `${config.replaceAll('"/secret/', `"${secrets}/`)}bind ${spec.clusterIP}\n`);
  return run(['setpriv', '--pdeathsig', 'KILL', 'redis-server', join(data, 'redis.conf')]);
}

type Set = KubeObject & { spec: { template: { spec: { containers: { command: string[] }[] } } } };
/** The pod of the database: its folders are the test's, and it listens at its Service's address. */
async function startDatabase(): Promise<ChildProcess> {
  const set = await there<Set>(kinds.StatefulSet, 'farm-database');
  const { spec } = await get<Service>(kinds.Service, 'farm-database');
  await mount('farm-database', 'secret');
  await mount('farm-recovery', 'recovery');
  const here = (text: string): string =>
    text
      .replaceAll('/recovery/*', `${folder}/recovery/*`)
      .replaceAll('/data', `${folder}/data`)
      .replaceAll('/secret', `${folder}/secret`);
  const env = { PATH: '/usr/lib/postgresql/15/bin:/usr/bin:/bin' };
  const [program = '', ...words] = asPostgres;
  execFileSync(program, [...words, 'sh', '-c', here(INIT_DATABASE)], { cwd: folder, env, stdio: 'pipe' });
  const [container] = set.spec.template.spec.containers;
  const command = (container?.command ?? []).map(here).map((word) => word.replace(/=\/tmp$/, `=${folder}/data`));
  return run([...asPostgres, ...command, '-c', `listen_addresses=${spec.clusterIP}`, '-c', 'fsync=off'], env);
}
const copies = (): string[] => readdirSync(join(folder, 'data/recovery')).filter((name) => name.endsWith('.sealed'));

const makeFarm = async (annotations: Readonly<Record<string, string>> = {}): Promise<void> => {
  const hostPath = join(folder, 'data');
  const spec = { database: { embedded: { storage: { hostPath } } } };
  value(await client.create(of(kinds.Farm, 'farm'), { metadata: { annotations }, spec }));
};

beforeAll(async () => {
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'data'));
  execFileSync('chown', [`${uid}:${gid}`, join(folder, 'data')]);
  api = await startApiServer(join(folder, 'api'), '127.97.0.0/16');
  client = createClient(kubeConfig());
  const kubectl = (...args: string[]) => execFileSync(binary('kubectl'), ['--kubeconfig', api.kubeconfig, ...args]);
  kubectl('apply', '--server-side', '-f', join(root, 'crds'));
  kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
  value(await client.create(at(kinds.Namespace, undefined, NAMESPACE), {}));
});

afterAll(async () => {
  for (const child of running.reverse()) await end(child, 'SIGKILL');
  await client?.close();
  await api?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a farm made again over its old data is not Ready, says how, and is that farm again by its recovery key', async () => {
  const operator = startOperator();
  await makeFarm();
  const [database, replica] = await Promise.all([startDatabase(), startReplica()]);
  await ready();
  const first = await farm();
  const { farmID: id = '' } = first.status?.database ?? {};

  const made = await keys(['recovery']);
  expect(made).toMatchObject({ failed: false, out: expect.stringMatching(/^bootfarm-recovery-private-1:/) });
  const annotation = (await farm()).metadata.annotations?.[RECOVERY_KEY_ANNOTATION];
  await mount('farm-recovery', 'recovery');
  await until('the copy is beside the data', () => copies().join() === `${id}.sealed`, DEADLINE_MS);

  // All goes as with its namespace: the operator first, which cannot set the database free.
  await end(operator, 'SIGTERM');
  const names = ['farm-keys', 'farm-database', 'farm-replica', 'farm-ca', 'farm-operator-tls', 'farm-recovery'];
  for (const name of names) value(await client.delete(of(kinds.Secret, name)));
  for (const kind of [kinds.StatefulSet, kinds.Service])
    for (const name of SETS) value(await client.delete(of(kind, name)));
  value(await client.patch(of(kinds.Farm, 'farm'), { metadata: { finalizers: null } })); // after its 10 s
  value(await client.delete(of(kinds.Farm, 'farm')));
  for (const child of [database, replica]) await end(child, 'SIGKILL');
  rmSync(join(folder, 'data/pg/postmaster.pid'), { force: true });

  await makeFarm({ [RECOVERY_KEY_ANNOTATION]: annotation ?? '' }); // as git has it
  startOperator();
  await Promise.all([startDatabase(), startReplica()]);
  await until(
    'it says that its password is lost',
    async () => condition(await farm(), 'Stalled')?.reason === 'DatabasePasswordLost',
    DEADLINE_MS,
  );
  const lost = await farm();
  expect(condition(lost, 'Ready')).toMatchObject({ status: 'False', reason: 'DatabasePasswordLost' });
  expect(condition(lost, 'Ready')?.message).toContain(`folder ${folder}/data was made with another password`);
  expect(lost.status?.database?.farmID).toBeUndefined();
  expect([copies(), (await client.get(of(kinds.Secret, 'farm-recovery'))).ok]).toEqual([[`${id}.sealed`], false]);

  const copy = readFileSync(join(folder, 'data/recovery', `${id}.sealed`), 'utf8');
  const done = await keys(['recover', '-o', 'json'], made.out + copy);
  expect(done).toMatchObject({ failed: false, err: expect.stringContaining('The database is used again') });
  expect(JSON.parse(done.out)).toMatchObject({ farm: 'lab/farm', id });
  await ready();
  const now = await farm();
  expect(now.status?.database?.farmID).toBe(id);
  expect([lost.metadata.uid, first.metadata.uid]).toEqual([
    now.metadata.uid,
    expect.not.stringMatching(`^${now.metadata.uid}$`),
  ]);
  await until('a copy of the Farm that is now', () => get(kinds.Secret, 'farm-recovery'), DEADLINE_MS);
});
