/** `bootfarm report` on a real API server, with a kubelet that has logs: secrets are planted wherever they may stand, and the bundle is searched for them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { binary } from '../cluster/cluster.ts';
import { runAsync, until } from '../cluster/run.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-report-'));
let api: ApiServer;
let kubelet: Server;
let report: string;

/** Each stands in one place; none may be found. */
const planted: string[] = [];
function secret(): string {
  const text = `Pl4ntedSecret${planted.length}x${'Qz7'.repeat(4)}`;
  planted.push(text);
  return text;
}

const LOG = [
  'reconciled key=lab/farm',
  `cannot connect to postgresql://farm:${secret()}@db:5432/farm`,
  `{"level":30,"password":"${secret()}","msg":"read"}`,
  `authorization: Bearer ${secret()}`,
  `ticket=${secret()} renewed`,
  `-----BEGIN PRIVATE KEY-----\n${secret()}\n-----END PRIVATE KEY-----`,
  'after all that',
].join('\n');

const LABELS = {
  'app.kubernetes.io/managed-by': 'bootfarm',
  'app.kubernetes.io/component': 'server',
  'bootfarm.io/farm': 'farm',
};
const meta = (name: string, more: object = {}) => ({ name, namespace: 'lab', ...more });
const pod = (): object => ({
  nodeName: 'node-a',
  containers: [
    {
      name: 'server',
      image: 'bootfarm.local/bootfarm:dev',
      args: ['server', '--password', secret(), `--uri=redis://:${secret()}@replica`],
      env: [
        { name: 'PGPASSWORD', value: secret() },
        { name: 'BOOTFARM_DATABASE_URI', value: secret() },
        { name: 'OTHER', value: `https://user:${secret()}@images.example/lab.raw?token=${secret()}` },
      ],
      ports: [{ name: 'telemetry', containerPort: 6912 }],
    },
  ],
});
const objects = (): readonly object[] => [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'lab' } },
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta('default') },
  { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } },
  { apiVersion: 'v1', kind: 'Secret', metadata: meta('farm-keys'), stringData: { 'key-1': secret() } },
  {
    apiVersion: 'bootfarm.io/v1alpha1',
    kind: 'Farm',
    metadata: meta('farm', { annotations: { note: `the password: ${secret()}` } }),
    spec: { database: { external: { secretRef: { name: 'farm-database', key: 'uri' } } } },
  },
  {
    apiVersion: 'bootfarm.io/v1alpha1',
    kind: 'VDisk',
    metadata: meta('lab'),
    spec: {
      farmRef: { name: 'farm' },
      storeRef: { name: 'images' },
      fileName: 'lab',
      source: {
        http: { url: `https://user:${secret()}@images.example/lab.raw?token=${secret()}`, sha256: '0'.repeat(64) },
      },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta('main-node-a', { labels: LABELS }),
    spec: pod(),
  },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta('main-node-a', { labels: LABELS }),
    spec: { selector: { matchLabels: LABELS }, template: { metadata: { labels: LABELS }, spec: pod() } },
  },
  {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: meta('event-1'),
    eventTime: '2026-11-30T00:00:00.000000Z',
    reportingController: 'bootfarm.io/operator',
    reportingInstance: 'operator-0',
    action: 'Reconcile',
    reason: 'DatabaseRefused',
    type: 'Warning',
    regarding: { kind: 'Farm', name: 'farm', namespace: 'lab' },
    note: `postgresql://farm:${secret()}@db refused the password`,
  },
];

beforeAll(async () => {
  api = await startApiServer(join(folder, 'api'));
  const file = (name: string): Buffer => readFileSync(join(folder, 'api', name));
  kubelet = createServer({ cert: file('server.crt'), key: file('server.key') }, (request, response) => {
    response.writeHead(request.url?.startsWith('/containerLogs/lab/main-node-a/server') ? 200 : 404).end(LOG);
  }).listen(0, '127.0.0.1');
  await once(kubelet, 'listening');
  const kubectl = (args: readonly string[], input?: string): string =>
    execFileSync(binary('kubectl'), ['--kubeconfig', api.kubeconfig, ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
      input,
    });
  kubectl(['apply', '--server-side', '-f', join(root, 'crds')]);
  await until('the CRDs served', 30_000, () =>
    kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=20s']),
  );
  const list = { apiVersion: 'v1', kind: 'List', items: objects() };
  // As people do it: what they applied is an annotation then.
  kubectl(['apply', '--validate=false', '-f', '-'], JSON.stringify(list));
  const { port } = kubelet.address() as AddressInfo;
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    nodeInfo: { kubeletVersion: 'v1.34.4' },
  };
  kubectl(['patch', 'node', 'node-a', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]);
  report = join(folder, 'report.tar.gz');
  const env = { ...process.env, KUBECONFIG: api.kubeconfig };
  // Not in step: the kubelet of this process answers meanwhile.
  await runAsync(
    'env',
    `KUBECONFIG=${env.KUBECONFIG}`,
    process.execPath,
    join(root, 'src/main.ts'),
    'report',
    '-o',
    report,
  );
});
afterAll(async () => {
  kubelet?.close();
  await api?.stop();
  rmSync(folder, { recursive: true });
});

const tar = (...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
};

test('any tar opens it, and all parts are there', () => {
  expect(tar('-tzf', report).trim().split('\n').sort()).toEqual(
    [
      'all/deployments.yaml',
      'all/events.yaml',
      'all/farms.yaml',
      'all/pods.yaml',
      'all/vdisks.yaml',
      'faults.txt',
      'lab/main-node-a/server.log',
      'nodes.yaml',
      'version.json',
    ].map((path) => `bootfarm-report/${path}`),
  );
});

test('no secret is in it, and what is none is', () => {
  const all = tar('-xzOf', report);
  expect(planted.length).toBeGreaterThan(20);
  expect(planted.filter((text) => all.includes(text))).toEqual([]);
  for (const told of ['reconciled key=lab/farm', 'after all that', 'name: farm-database', 'v1.34.4', 'DatabaseRefused'])
    expect(all).toContain(told);
});

test('what failed is named, and the rest went on', () => {
  const faults = tar('-xzOf', report, 'bootfarm-report/faults.txt');
  expect(faults).toContain('metrics of lab/main-node-a');
  expect(faults.trim().split('\n')).toHaveLength(1);
});
