/**
 * Bad input on a real cluster: each ends in a condition and an event that name the thing and what to do, the rest of the farm serves on, and
 * clearing the cause heals it without a restart. No machine boots here: the disks are small and hold anything.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cutLink, loadImage, mendLink, nodePath, startCluster, stopCluster } from '../cluster/cluster.ts';
import { nodesOf } from '../cluster/plan.ts';
import { runAsync, until } from '../cluster/run.ts';
import { BANDWIDTH, growsOn, makeScenes, replicationSays, staleOn, statesOn } from '../demo/copystates.ts';
import { DemoFarm, NAMESPACE, type PoolStatus, type VDiskStatus } from '../demo/farm.ts';
import { type OwnSite, ownSite } from '../demo/site.ts';

const MINUTE = 60_000;
const root = join(import.meta.dirname, '../..');
const stateDirectory = mkdtempSync(join(tmpdir(), 'bootfarm-bad-'));
const say = (line: string): void => void process.stderr.write(`  ${line}\n`);
let farm: DemoFarm<OwnSite>;
let dnsmasq: ChildProcess | undefined;

const disk = randomBytes(4 << 20);
const fileOn = (node: string, name = 'lab.raw'): string => join(nodePath(farm.site.cluster, node, '/srv/vdisks'), name);

async function apply(object: object): Promise<void> {
  const path = join(stateDirectory, 'object.json');
  writeFileSync(path, JSON.stringify(object));
  await farm.kubectl('apply', '-f', path);
}

const bootfarmKind = (kind: string, name: string, spec: object): object => ({
  apiVersion: 'bootfarm.io/v1alpha1',
  kind,
  metadata: { name, namespace: NAMESPACE },
  spec: { farmRef: { name: 'farm' }, ...spec },
});

interface Told {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

async function condition(resource: string, type: string): Promise<Told | undefined> {
  const { conditions } = await farm.status<{ conditions?: readonly (Told & { type: string })[] }>(resource);
  return conditions?.find((found) => found.type === type);
}

/** Waits for a condition that says all of these words, in whatever order. */
const says = (
  resource: string,
  type: string,
  status: string,
  words: readonly string[],
  deadlineMs = MINUTE,
): Promise<Told> =>
  until(`${resource} ${type}=${status}: ${words.join(', ')}`, deadlineMs, async () => {
    const told = await condition(resource, type);
    return told?.status === status && words.every((word) => `${told.reason} ${told.message}`.includes(word))
      ? told
      : undefined;
  }) as Promise<Told>;

const event = (name: string, words: readonly string[]): Promise<unknown> =>
  until(`an event of ${name}: ${words.join(', ')}`, MINUTE, async () => {
    const list: { items: { involvedObject: { name: string }; message: string }[] } = JSON.parse(
      await farm.kubectl('get', 'events', '-o', 'json'),
    );
    return list.items.some(
      ({ involvedObject, message }) => involvedObject.name === name && words.every((word) => message.includes(word)),
    );
  });

const copyStates = async (): Promise<readonly string[]> =>
  ((await farm.status<VDiskStatus>('vd/lab')).copies ?? []).map(({ server, state }) => `${server} ${state}`).sort();

beforeAll(async () => {
  const cluster = await startCluster(
    { stateDirectory: join(stateDirectory, 'cluster'), prefix: 'bb', network: '10.74.0' },
    say,
  );
  await loadImage(cluster, join(root, '.build/image.tar'));
  farm = new DemoFarm(ownSite(cluster), say);
  const folder = join(stateDirectory, 'disk');
  mkdirSync(folder);
  const files = ['lab.raw', 'lab.vmlinuz', 'lab.initrd'];
  for (const name of files) writeFileSync(join(folder, name), disk);
  await farm.placeDisk(folder, { files });
  await farm.install();
  await farm.waitReady();
  // What is wrong stays so until a person mends it.
  await farm.replicate('Report');
  await farm.scale(2);
}, 12 * MINUTE);

afterAll(async () => {
  dnsmasq?.kill('SIGKILL');
  await stopCluster(join(stateDirectory, 'cluster'));
  rmSync(stateDirectory, { recursive: true, force: true });
});

test('a file that was cut is named with its server, the other copy serves on, and putting it right heals it', async () => {
  truncateSync(fileOn('node-a'), 1_000);
  await says('vd/lab', 'Degraded', 'True', ['FilesFaulty', 'node-a', 'lab.raw', '1000 bytes', 'copy it again']);
  await event('lab', ['node-a', 'lab.raw']);
  expect(await condition('vd/lab', 'Ready')).toMatchObject({ status: 'True' });
  writeFileSync(fileOn('node-a'), disk);
  await until(
    'both copies UpToDate',
    MINUTE,
    async () => (await copyStates()).join() === 'node-a UpToDate,node-b UpToDate',
  );
  await says('vd/lab', 'Replicated', 'True', []);
});

test('a file that is missing everywhere stops that vDisk alone', async () => {
  for (const node of ['node-a', 'node-b'])
    for (const extension of ['raw', 'vmlinuz', 'initrd']) writeFileSync(fileOn(node, `other.${extension}`), disk);
  await apply(bootfarmKind('VDisk', 'other', { storeRef: { name: 'local' }, fileName: 'other' }));
  await says('vd/other', 'Ready', 'True', []);
  for (const node of ['node-a', 'node-b']) renameSync(fileOn(node), fileOn(node, 'lab.away'));
  await says('vd/lab', 'Ready', 'False', ['FilesMissing', 'lab.raw', '/srv/vdisks', 'put the file there']);
  await event('lab', ['lab.raw is not in']);
  expect(await condition('vd/other', 'Ready')).toMatchObject({ status: 'True' });
  expect(await farm.streaming()).toHaveLength(2);
  for (const node of ['node-a', 'node-b']) renameSync(fileOn(node, 'lab.away'), fileOn(node));
  await says('vd/lab', 'Ready', 'True', ['2 of 2']);
});

test('a store whose folder is not there, or outside the roots, says so; making the folder heals it', async () => {
  await apply(bootfarmKind('Store', 'nowhere', { local: { path: '/srv/vdisks/nowhere' } }));
  await says('stores.bootfarm.io/nowhere', 'Ready', 'False', [
    'NoServerAccess',
    '/srv/vdisks/nowhere',
    'make the folder',
  ]);
  await event('nowhere', ['/srv/vdisks/nowhere']);
  await apply(bootfarmKind('Store', 'outside', { local: { path: '/mnt/vdisks' } }));
  await says('stores.bootfarm.io/outside', 'Ready', 'False', ['/mnt/vdisks', 'storeRoots']);
  expect(await condition('stores.bootfarm.io/local', 'Ready')).toMatchObject({ status: 'True' });
  for (const node of ['node-a', 'node-b']) mkdirSync(nodePath(farm.site.cluster, node, '/srv/vdisks/nowhere'));
  await says('stores.bootfarm.io/nowhere', 'Ready', 'True', ['2 of 2']);
});

test('a wrong database secret is named with its key, and a right one heals it', async () => {
  // Stands for a PostgreSQL of somebody's own: the embedded one lets its owner into the farm's database alone.
  const script = [
    `echo 'host other bootfarm,other_server all scram-sha-256' >> /data/pg/pg_hba.conf`,
    `psql -h /tmp -U postgres -d postgres -c 'create database other owner bootfarm' -c 'select pg_reload_conf()'`,
  ].join(' && ');
  await farm.kubectl('exec', 'farm-database-0', '-c', 'postgres', '--', 'sh', '-c', script);
  const address = await farm.kubectl('get', 'service', 'farm-database', '-o', 'jsonpath={.spec.clusterIP}');
  const password = Buffer.from(
    await farm.kubectl('get', 'secret', 'farm-database', '-o', 'jsonpath={.data.password}'),
    'base64',
  ).toString();
  const secret = (word: string): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'other-db', namespace: NAMESPACE },
    stringData: { uri: `postgresql://bootfarm:${word}@${address}:5432/other` },
  });
  await apply(secret('wrong'));
  const { spec: _, ...other } = bootfarmKind('Farm', 'other', {}) as { spec: object };
  await apply({ ...other, spec: { database: { external: { secretRef: { name: 'other-db', key: 'uri' } } } } });
  const told = await says('farm/other', 'DatabaseReachable', 'False', ['DatabaseRefused', 'other-db', 'uri']);
  expect(told.message).not.toContain('wrong@');
  expect(await condition('farm/farm', 'DatabaseReachable')).toMatchObject({ status: 'True' });
  await apply(secret(password));
  await says('farm/other', 'DatabaseReachable', 'True', []);
  await farm.kubectl('delete', 'farm', 'other', '--wait=true');
});

test('a server that Kubernetes finds no room for stops the rollout there, says why, and comes back when it asks for less', async () => {
  const ask = (requests: object | null): Promise<string> =>
    farm.kubectl('patch', 'bfs/main', '--type=merge', '-p', JSON.stringify({ spec: { resources: requests } }));
  await ask({ requests: { memory: '4Ti' } });
  const told = await says('bfs/main', 'Ready', 'False', ['PodFaulty', '1 of 2 servers stream', 'Insufficient memory']);
  await event('main', ['Insufficient memory']);
  expect(told.message).toMatch(/node-[ab]: pod main-node-[ab]-/);
  expect(await farm.streaming()).toHaveLength(1);
  expect(await condition('vd/lab', 'Ready')).toMatchObject({ status: 'True' });
  await ask(null);
  await says('bfs/main', 'Ready', 'True', ['2 of 2 servers stream'], 2 * MINUTE);
});

test('a port that another program has refuses that server by name and port, and freeing it heals it', async () => {
  const node = nodesOf(farm.site.cluster).find(({ name }) => name === 'node-c');
  if (!node) throw new Error('the cluster has no node-c');
  dnsmasq = spawn('nsenter', [
    `--net=/run/netns/${node.netns}`,
    ...[
      'dnsmasq',
      '--keep-in-foreground',
      '--port=0',
      '--enable-tftp',
      '--user=root',
      '--log-facility=-',
      '--pid-file=',
    ],
  ]);
  await once(dnsmasq.stderr ?? dnsmasq, 'data'); // it says that it has started
  await farm.kubectl('scale', 'bfs/main', '--replicas=3');
  await until('node-c is Refused', 2 * MINUTE, async () => {
    const { servers } = await farm.status<PoolStatus>('bfs/main');
    const found = servers?.find(({ name }) => name === 'node-c');
    if (found?.state !== 'Refused') throw new Error(`node-c: ${JSON.stringify(found)}`);
    return true;
  });
  await says('bfs/main', 'Ready', 'False', ['ServerFaulty', 'node-c', '69', '2 of 3 servers stream']);
  await event('main', ['node-c', '69']);
  expect(await farm.streaming()).toHaveLength(2);
  dnsmasq.kill('SIGTERM');
  await says('bfs/main', 'Ready', 'True', ['3 of 3 servers stream'], 2 * MINUTE);
});

test('each state of a copy is in the resource and in `bootfarm replication`; then the farm mends what needs no person, and a word settles the conflict', async () => {
  const [first, second, third] = ['node-a', 'node-b', 'node-c'] as const;
  const asMade = ({ state }: { readonly state: string }): string => state;
  await makeScenes(farm, [first, second]);
  await statesOn(farm, second, asMade);
  await replicationSays(farm, second, asMade);
  await replicationSays(farm, third, () => 'Missing');

  cutLink(farm.site.cluster, second);
  await statesOn(farm, second, () => 'ServerUnreachable');
  await replicationSays(farm, second, () => 'ServerUnreachable');
  mendLink(farm.site.cluster, second);
  await statesOn(farm, second, asMade);

  await farm.replicate('Auto', BANDWIDTH);
  // What came is read once more, from its first byte on, which is seen or not.
  const grown = await growsOn(farm, third);
  expect([...grown.slice(0, 3), grown.at(-1)]).toEqual(['Missing', 'Copying', 'Copying in part', 'UpToDate']);
  await statesOn(farm, second, ({ state }) => (state === 'Conflict' ? state : 'UpToDate'));
  expect(staleOn(farm, second)).toEqual(expect.arrayContaining([expect.stringMatching(/^older\.raw\..+\.stale$/)]));
  await runAsync(...farm.inOperator('vdisk', 'accept', 'torn', '0', '--server', first));
  for (const node of [second, third]) await statesOn(farm, node, () => 'UpToDate');
  await farm.replication('--exit-code');
});
