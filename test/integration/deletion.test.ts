/**
 * Deletion, as the API server, its namespace controller and garbage collector have it, and with the rights that the chart gives the operator: what
 * is in use is refused, what is not or is confirmed ends, whatever is gone before it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { binary } from '../cluster/cluster.ts';
import { until } from '../setup/time.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const NAMESPACE = 'lab';
const DEADLINE_MS = 60_000;
const KINDS = ['store/images', 'vdisk/lab', 'streamingserver/main'];
const FINALIZER = 'bootfarm.io/rows';
const root = join(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'bootfarm-deletion-'));

let api: ApiServer;
let controllers: ChildProcess;
let operator: ChildProcess | undefined;

const kubectl = (args: readonly string[], input?: string): string =>
  execFileSync(binary('kubectl'), ['--kubeconfig', api.kubeconfig, ...args], {
    ...{ encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], input },
  });
/** What kubectl says when it is refused; empty: it was not. */
function refusal(...args: string[]): string {
  try {
    kubectl(args);
    return '';
  } catch (error) {
    return String((error as { readonly stderr?: unknown }).stderr);
  }
}
const isGone = (what: string): boolean => refusal('get', what).includes('NotFound');
const apply = (...objects: object[]): string =>
  kubectl(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));
const finalizers = (): readonly string[] =>
  KINDS.map((what) => kubectl(['get', what, '-o', 'jsonpath={.metadata.finalizers}']));
const devices = (what: string, said: unknown): string =>
  kubectl(['patch', what, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { devices: said } })]);
const used = { known: 1, streaming: 1, booting: 0 };

/** As its pod has it: by a token of its account. One of the namespaces that it is to look after is gone, with its rights there. */
function startOperator(): ChildProcess {
  const token = kubectl(['create', 'token', 'bootfarm', '--namespace=bootfarm']).trim();
  const config = parse(readFileSync(api.kubeconfig, 'utf8'));
  config.users = [{ name: 'admin', user: { token } }];
  const kubeconfig = join(directory, 'operator.kubeconfig');
  writeFileSync(kubeconfig, JSON.stringify(config));
  const args = ['operator', '--image', 'bootfarm.local/bootfarm:dev', '--namespaces', `annex,${NAMESPACE}`];
  const more = ['--lease-namespace', 'bootfarm', '--metrics-port', '0'];
  const log = openSync(join(directory, 'operator.log'), 'a');
  return spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, 'src/main.ts', ...args, ...more], {
    ...{
      cwd: root,
      stdio: ['ignore', log, log],
      env: { ...process.env, KUBECONFIG: kubeconfig, POD_NAME: 'operator-0' },
    },
  });
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const install = (): void => {
  kubectl(
    ['apply', '--server-side', '-f', '-'],
    execFileSync(
      binary('helm'),
      [
        'template',
        'bootfarm',
        join(root, 'charts/bootfarm'),
        '--namespace',
        'bootfarm',
        '--set',
        `farmNamespaces={${NAMESPACE}}`,
      ],
      { encoding: 'utf8' },
    ),
  );
};
const namespace = { apiVersion: 'v1', kind: 'Namespace' };
/** What a person writes. */
const bare = (object: { readonly metadata: { readonly name: string } }, where = NAMESPACE): object => ({
  ...{ ...object, metadata: { name: object.metadata.name, namespace: where }, status: undefined },
});

beforeAll(async () => {
  api = await startApiServer(join(directory, 'api'), '127.98.0.0/16');
  const log = openSync(join(directory, 'controllers.log'), 'a');
  const run = ['--leader-elect=false', '--secure-port=0', '--controllers=namespace,garbage-collector-controller'];
  controllers = spawn(binary('kube-controller-manager'), ['--kubeconfig', api.kubeconfig, ...run], {
    stdio: ['ignore', log, log],
  });
  kubectl(['config', 'set-context', '--current', `--namespace=${NAMESPACE}`]);
  kubectl(['create', 'namespace', 'bootfarm']);
  kubectl(['apply', '--server-side', '-f', join(root, 'crds')]);
  kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  // Of another operator; made before there is a policy that would refuse it.
  apply({ ...namespace, metadata: { name: 'other' } }, bare(aStore({ metadata: { name: 'images' } }), 'other'));
});

afterAll(async () => {
  await end(operator);
  await end(controllers);
  await api?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A farm whose database never answers, with one resource of each kind, held by their finalizers. */
beforeEach(async () => {
  await end(operator);
  apply({ ...namespace, metadata: { name: NAMESPACE, labels: { 'bootfarm.io/farms': 'allowed' } } });
  install();
  const uri = Buffer.from('postgresql://farm@127.0.0.1:1/farm').toString('base64');
  const metadata = (name: string) => ({ metadata: { name, namespace: NAMESPACE } });
  const farmRef = { name: 'farm' };
  apply(
    { apiVersion: 'v1', kind: 'Secret', ...metadata('farm-db'), data: { uri } },
    bare(aFarm({ ...metadata('farm'), spec: { database: { external: { secretRef: { name: 'farm-db' } } } } })),
    bare(aStore({ ...metadata('images'), spec: { farmRef, local: { path: '/srv/vdisks' } } })),
    bare(aVDisk({ ...metadata('lab'), spec: { farmRef, storeRef: { name: 'images' }, fileName: 'lab' } })),
    bare(aStreamingServer({ ...metadata('main'), spec: { farmRef, replicas: 1, drain: { timeout: '1s' } } })),
  );
  operator = startOperator();
  await until('all are held', () => finalizers().every((held) => held.includes(FINALIZER)), DEADLINE_MS);
});

test('a namespace whose farm is in use is refused, with all that is in it; confirmed, it ends, though its Role went while the operator was away', async () => {
  for (const what of KINDS) devices(what, 1);
  devices('farm/farm', used);
  await until(
    'the policy in force',
    () => refusal('delete', 'namespace', NAMESPACE, '--dry-run=server') !== '',
    DEADLINE_MS,
  );
  expect(refusal('delete', 'namespace', NAMESPACE)).toMatch(
    /namespace lab holds Farm farm, which 1 device uses, .*kubectl annotate namespace lab bootfarm.io\/confirm-delete=yes/,
  );
  for (const what of ['farm/farm', ...KINDS]) expect(refusal('delete', what)).toContain('is used by 1 device:');
  expect(refusal('delete', 'namespace', 'default', '--dry-run=server')).not.toContain('Farm');
  const crd = 'crd/vdisks.bootfarm.io';
  await until('the policy in force', () => refusal('delete', crd, '--dry-run=server') !== '', DEADLINE_MS);
  expect(refusal('delete', crd)).toMatch(
    /go all vdisks of this cluster.*confirm by kubectl annotate crd vdisks.bootfarm.io/,
  );
  const finalizer = ['--type=merge', '-p', '{"metadata":{"finalizers":["bootfarm.io/rows"]}}'];
  const as = ['--as=system:serviceaccount:bootfarm:bootfarm', '--namespace=other'];
  expect(refusal('patch', 'store/images', ...finalizer, ...as)).toContain('in its farmNamespaces alone');
  kubectl(['annotate', 'namespace', NAMESPACE, 'bootfarm.io/confirm-delete=yes']);
  await end(operator);
  kubectl(['delete', 'role,rolebinding', '--all']);
  kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  operator = startOperator();
  await until('it is gone', () => isGone(`namespace/${NAMESPACE}`), DEADLINE_MS);
});

test('a namespace whose farm nobody uses ends without a word', async () => {
  kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  await until('it is gone', () => isGone(`namespace/${NAMESPACE}`), DEADLINE_MS);
});

test('where no Farm is, nobody uses anything, and each kind ends at once', async () => {
  for (const what of KINDS) devices(what, 1);
  kubectl(['delete', 'farm/farm']);
  const said = (): string => KINDS.map((what) => kubectl(['get', what, '-o', 'jsonpath={.status.devices}'])).join();
  await until('nobody uses them', () => said() === '0,0,0', DEADLINE_MS);
  for (const what of KINDS)
    expect(kubectl(['get', what, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].reason}'])).toMatch(
      /FarmMissing|StoreNotReady/,
    );
  kubectl(['delete', ...KINDS, '--timeout=10s']);
  for (const what of KINDS) expect(isGone(what)).toBe(true);
});

test('while the database is away each kind says that it is being deleted, and ends after a minute, its Farm after seconds, and all with it', async () => {
  kubectl(['delete', 'store/images', 'vdisk/lab', '--wait=false']);
  const beganMs = performance.now();
  const reason = (what: string): string =>
    kubectl(['get', what, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].reason}']);
  await until(
    'it is told',
    () => [reason('store/images'), reason('vdisk/lab')].join() === 'Deleting,Deleting',
    DEADLINE_MS,
  );
  await until('both are gone', () => isGone('store/images') && isGone('vdisk/lab'), 2 * DEADLINE_MS);
  expect(performance.now() - beganMs).toBeGreaterThan(50_000);
  kubectl(['delete', 'streamingserver/main', '--wait=false']);
  await until('it is told', () => reason('streamingserver/main') === 'Deleting', DEADLINE_MS);
  const patchFinalizers = (op: string, value?: string) =>
    kubectl([
      ...['patch', 'farm/farm', '--type=json'],
      ...['-p', JSON.stringify([{ op, path: `/metadata/finalizers${value ? '/-' : ''}`, value }])],
    ]);
  patchFinalizers('add', 'example.com/hold');
  kubectl(['delete', 'farm/farm', '--wait=false']);
  await until('it is told', () => reason('farm/farm') === 'Deleting', DEADLINE_MS);
  patchFinalizers('remove');
  await until('they are gone', () => isGone('streamingserver/main'), 5_000);
});

test('when its kind goes, a server stays with what its pod mounts, and a database with its address: nobody said that they should go', async () => {
  const uid = (what: string) => kubectl(['get', what, '-o', 'jsonpath={.metadata.uid}']);
  const by = (kind: string, name: string) => ({
    ...{
      apiVersion: 'bootfarm.io/v1alpha1',
      kind,
      name,
      uid: uid(`${kind.toLowerCase()}/${name}`),
      controller: true,
    },
  });
  const [pool, farm] = [by('StreamingServer', 'main'), by('Farm', 'farm')];
  const owned = (name: string, more: object = {}, owner: object = pool) => ({
    metadata: { name, namespace: NAMESPACE, ownerReferences: [owner], ...more },
  });
  const labels = { 'bootfarm.io/farm': 'farm', 'bootfarm.io/pool': 'main' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'server', image: 'none' }] } };
  apply(
    { apiVersion: 'v1', kind: 'ConfigMap', ...owned('judged') },
    { apiVersion: 'v1', kind: 'Secret', ...owned('bootfarm-server-main-node-a') },
    {
      ...{ apiVersion: 'apps/v1', kind: 'Deployment', spec: { selector: { matchLabels: labels }, template } },
      ...owned('main-node-a', { labels, annotations: { 'bootfarm.io/node': 'node-a' } }),
    },
    { apiVersion: 'v1', kind: 'Service', ...owned('farm-database', {}, farm), spec: { ports: [{ port: 5432 }] } },
    {
      ...{ apiVersion: 'apps/v1', kind: 'StatefulSet', ...owned('farm-database', {}, farm) },
      spec: { serviceName: 'farm-database', selector: { matchLabels: labels }, template },
    },
  );
  kubectl(['annotate', '-f', join(root, 'crds'), 'bootfarm.io/confirm-delete=yes']);
  kubectl(['delete', '-f', join(root, 'crds'), '--timeout=60s']);
  await until('the garbage collector has come by', () => isGone('configmap/judged'), DEADLINE_MS);
  const stay = ['deployment/main-node-a', 'secret/bootfarm-server-main-node-a'];
  stay.push('service/farm-database', 'statefulset/farm-database');
  for (const what of stay)
    expect([what, kubectl(['get', what, '-o', 'jsonpath={.metadata.ownerReferences}'])]).toEqual([what, '']);
  kubectl(['apply', '--server-side', '-f', join(root, 'crds')]);
  kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  kubectl(['delete', ...stay]);
});
