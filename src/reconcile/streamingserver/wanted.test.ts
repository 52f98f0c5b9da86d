import { expect, test } from '@jest/globals';
import { aServerPlan, aStore, aStreamingServer, aVDisk, type Written } from '../../../test/builders/resources.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { StreamingServer, VDisk } from '../../resources/kinds.ts';
import { deployment, type ServerPlan } from './objects.ts';
import { ordersOf, wantedServer } from './wanted.ts';

const pool = (spec: Written<StreamingServer['spec']> = {}): StreamingServer =>
  aStreamingServer({ metadata: { namespace: 'farm' }, spec: { storeRoots: [], ...spec } });
const plan = (more: Partial<ServerPlan> = {}): ServerPlan => aServerPlan({ pool: pool(), ...more });
const authority = { signer: { cert: 'A', key: '' }, trust: 'A' };
const inputs = { database: { uri: 'postgres://owner' }, authority } as Infrastructure;
const settings = (more: Partial<ServerPlan> = {}): string =>
  wantedServer(plan(more), 'postgres://farm', inputs).settings;

test('the same settings have the same digest', () => {
  expect(settings({ pool: pool({ replicas: 5 }) })).toBe(settings());
});

/** Whatever restarts a server must be in the digest: what is not changes all servers of the pool at once. */
test.each([
  { what: 'its configuration', more: { httpPort: 80 } },
  { what: 'the lineage of its farm', more: { lineage: 'ffeeddcc00112233' } },
  { what: 'its image', more: { image: 'bootfarm:2' } },
  { what: 'the release of the operator', more: { release: '2' } },
  { what: 'its resources', more: { pool: pool({ resources: { requests: { cpu: '1' } } }) } },
  { what: 'its priority', more: { pool: pool({ placement: { priorityClassName: 'high' } }) } },
  { what: 'what it tolerates', more: { pool: pool({ placement: { tolerations: [{ operator: 'Exists' }] } }) } },
  { what: 'how its image is pulled', more: { pool: pool({ imagePullPolicy: 'Always' }) } },
] satisfies readonly { what: string; more: Partial<ServerPlan> }[])('$what is in it', ({ more }) => {
  expect(settings(more)).not.toBe(settings());
});

test('a farm and the next one with a pool of the same name on the same node share no folder', () => {
  const written = (lineage: string): readonly string[] => {
    const { spec } = deployment(plan({ lineage }), '') as {
      readonly spec: { readonly template: { readonly spec: { readonly volumes: readonly Volume[] } } };
    };
    return spec.template.spec.volumes.flatMap(({ hostPath }) => hostPath?.path ?? []);
  };
  const [gone, next] = [written('00112233aabbccdd'), written('ffeeddcc00112233')];
  expect(gone).toHaveLength(7);
  expect(gone.filter((path) => next.some((other) => `${path}/`.startsWith(`${other}/`)))).toEqual([]);
});
interface Volume {
  readonly hostPath?: { readonly path: string };
}

test('whom a server believes is in it, and who signs: its follower reads both at its start alone', () => {
  const of = (trust: string): string =>
    wantedServer(plan(), 'postgres://farm', { ...inputs, authority: { ...authority, trust } }).settings;
  expect(new Set(['A', 'A B', 'B A', 'B'].map(of)).size).toBe(4);
});

const NOW = Date.parse('2026-11-30T12:00:00Z') / 1_000;
const HTTP = { url: 'https://images.example/lab.raw', sha256: 'a'.repeat(64) };
type Status = NonNullable<VDisk['status']>;
const chosen = (name: string, awaySince?: string) => ({
  ...{ name, since: '2026-11-29T12:00:00Z' },
  ...(awaySince === undefined ? {} : { awaySince }),
});
const [LONG, SHORT] = ['2026-11-30T11:30:00Z', '2026-11-30T11:30:01Z'];
const copy = (server: string, state: 'Missing' | 'OutOfDate' | 'UpToDate' | 'ServerUnreachable', more = {}) => ({
  ...{ server, version: 0, state },
  ...more,
});
const CHAIN: Status = {
  bootVersion: 3,
  versions: [0, 1, 2, 3].map((number) => ({ number, type: number === 0 ? 'Base' : 'Differencing' })),
  copies: [copy('a', 'ServerUnreachable'), copy('b', 'UpToDate'), copy('c', 'UpToDate')].map((one) => ({
    ...one,
    version: 3,
  })),
};

test.each<[string, Status, readonly string[]]>([
  [
    'one that is stood in for, and of which nothing is said, is ordered nothing',
    { chosen: [chosen('a', LONG), chosen('b')], copies: [copy('b', 'Missing'), copy('a', 'Missing')] },
    ['b fetch'],
  ],
  [
    'nor the other one of two',
    { chosen: [chosen('b', LONG), chosen('a')], copies: [copy('a', 'Missing'), copy('b', 'Missing')] },
    ['a fetch'],
  ],
  [
    'what is not right on a server that was not chosen keeps nothing from being fetched',
    { chosen: [chosen('a')], copies: [copy('a', 'Missing'), copy('b', 'OutOfDate', { surplus: true })] },
    ['a fetch'],
  ],
  [
    'kernel and initrd come out of an image wherever it lies',
    {
      chosen: [chosen('a')],
      copies: [copy('a', 'Missing'), copy('b', 'Missing', { surplus: true, lacksBootFiles: '5f0c11d2' })],
    },
    ['b boot-files'],
  ],
  [
    'who is stood in for holds up no merge',
    { ...CHAIN, chosen: [chosen('a', LONG), chosen('b'), chosen('c')] },
    ['b merge'],
  ],
  ['who is away for a while does', { ...CHAIN, chosen: [chosen('a', SHORT), chosen('b'), chosen('c')] }, []],
  ['so does who is away where all keep a copy', CHAIN, []],
])('%s', (_, status, is) => {
  const vdisk = aVDisk({
    metadata: { uid: 'uid' },
    spec: { copies: status.chosen ? 1 : 'all', source: { http: HTTP } },
    status,
  } as never);
  const servers = ['a', 'b', 'c'].map((name) => ({ name, state: 'Accessible' as const, files: 0 }));
  const store = aStore({ status: { servers } } as never);
  const ordered = ordersOf({ vdisks: [vdisk], stores: [store] }, { maxChain: 2 }, NOW, () => true, []);
  const found = ['a', 'b', 'c'].flatMap((server) => ordered(server).map(({ kind }) => `${server} ${kind}`));
  expect(found).toEqual(is);
});

test('of more orders than its Secret holds those that go on are in it', () => {
  const url = `${HTTP.url}${'x'.repeat(2_000)}`;
  const vdisks = Array.from({ length: 300 }, (_, at) =>
    aVDisk({
      metadata: { name: `lab-${at}`, uid: `uid-${at}` },
      spec: { fileName: `lab-${at}`, source: { http: { ...HTTP, url } } },
      status: { copies: [copy('a', 'Missing')] },
    } as never),
  );
  const store = aStore({ status: { servers: [{ name: 'a', state: 'Accessible', files: 0 }] } } as never);
  const idOf = (all: readonly VDisk[]) =>
    ordersOf({ vdisks: all, stores: [store] }, undefined, NOW, () => true, [])('a');
  const last = idOf(vdisks.slice(-1))[0]?.id as string;
  const work = [{ server: 'a', id: last, kind: 'fetch', state: 'Running' } as const];
  const told = vdisks.map((vdisk, at) => (at === 299 ? { ...vdisk, status: { ...vdisk.status, work } } : vdisk));
  const orders = idOf(told);
  expect(orders.length).toBeGreaterThan(200);
  expect(orders.at(-1)?.id).toBe(last);
  const { files } = wantedServer(plan(), 'postgres://farm', inputs, orders);
  expect(files['orders.json']?.length).toBeLessThanOrEqual(513 * 1_024);
});
