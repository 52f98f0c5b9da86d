import { X509Certificate } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { FakeKube } from '../../../test/fakes/kube.ts';
import type { ServerStatus } from '../../control/status.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { ensureInfrastructure } from './infrastructure.ts';
import { ROTATE_KEYS_ANNOTATION } from './rotation.ts';
import type { ServerView } from './runtimes.ts';

const { signal } = new AbortController();
const aFarm = (spec: object, annotations: Record<string, string> = {}): Farm =>
  ({ metadata: { name: 'lab', namespace: 'ns', uid: '1', annotations }, spec }) as unknown as Farm;
const embedded = aFarm({ database: { embedded: {} } });
const server = (name: string, ...keys: number[]): ServerView =>
  ({ name, reachable: true, message: '', status: { keys } as unknown as ServerStatus }) as ServerView;

const look = async (kube: FakeKube, farm: Farm, servers: readonly ServerView[] | 'not asked' = []) => {
  const asked = servers === 'not asked' ? undefined : servers;
  const settings = { image: 'bootfarm:1', release: '1', allowedHostPaths: [], allowedImages: [] };
  const context = { client: kube.client, settings } as unknown as Context;
  const made = await ensureInfrastructure(context, farm, farm as unknown as KubeObject, asked, signal);
  if (!made.ok) throw new Error(`${made.error.code}: ${made.error.message}`);
  return made.value;
};
const held = (kube: FakeKube, name: string): Record<string, string> => {
  const { data } = kube.objects.get(`Secret ns/${name}`) as unknown as { data: Record<string, string> };
  return Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString('latin1')]),
  );
};

test('an embedded database and replica are made once, and a second look writes nothing', async () => {
  const kube = new FakeKube();
  const first = await look(kube, embedded);
  const made = kube.writes.length;
  expect(await look(kube, embedded)).toEqual(first);
  expect(kube.writes.slice(made)).toEqual([]);
  expect(first.inputs.database.uri).toMatch(/^postgresql:\/\/bootfarm:[^@]+@10\.96\.0\.10:5432\/bootfarm$/);
});

test('both have certificates of the farm’s authority for their addresses, and are believed by it alone', async () => {
  const kube = new FakeKube();
  const { inputs } = await look(kube, embedded);
  const authority = new X509Certificate(held(kube, 'lab-ca')['tls.crt'] ?? '');
  for (const name of ['lab-database', 'lab-replica']) {
    const given = new X509Certificate(held(kube, name)['tls.crt'] ?? '');
    expect(given.verify(authority.publicKey)).toBe(true);
    expect(given.checkIP('10.96.0.10')).toBe('10.96.0.10');
    expect(given.checkHost(`${name}.ns.svc`)).toBeDefined();
  }
  expect([inputs.database.ca, inputs.redis.ca].map((ca) => ca?.trim())).toEqual([
    authority.toString().trim(),
    authority.toString().trim(),
  ]);
});

test('ca.crt beside the uri of an external database is whom it is believed by; without one the uri alone speaks', async () => {
  const kube = new FakeKube();
  const farm = aFarm({ database: { external: { secretRef: { name: 'db' } } } });
  const uri = 'postgresql://me@db.example/farm?sslmode=verify-full';
  const data = (files: Record<string, string>) => ({
    data: Object.fromEntries(Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  });
  const target = { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespace: 'ns', name: 'db' };
  await kube.client.create(target, data({ uri }));
  expect((await look(kube, farm)).inputs.database).toEqual({ uri });
  await kube.client.patch(target, data({ 'ca.crt': 'PEM' }));
  expect((await look(kube, farm)).inputs.database).toEqual({ uri, ca: 'PEM' });
});

test('a new key goes its way from look to look, whoever leads', async () => {
  const kube = new FakeKube();
  await look(kube, embedded);
  const asked = aFarm({ database: { embedded: {} } }, { [ROTATE_KEYS_ANNOTATION]: 'now' });
  const keys = () => Object.keys(held(kube, 'lab-keys')).sort();
  expect((await look(kube, asked, 'not asked')).keys.isQuiet).toBe(false);
  expect(keys()).toEqual(['current', 'key-1']);
  await look(kube, asked, [server('a', 1), server('b', 1)]);
  expect(keys()).toEqual(['current', 'key-1', 'key-2', 'request']);
  expect((await look(kube, asked, [server('a', 1, 2), server('b', 1)])).keys).toMatchObject({
    state: 'Distributing',
    message: 'key 2 is used when every server has it: waiting for b',
    isQuiet: false,
  });
  await look(kube, asked, [server('a', 1, 2), server('b', 1, 2)]);
  expect(held(kube, 'lab-keys')['current']).toBe('2');
  const settled = await look(kube, asked, [server('a', 1, 2), server('b', 1, 2)]);
  expect(settled.keys).toMatchObject({ state: 'Overlapping', current: 2, request: 'now', isQuiet: true });
  expect(keys()).toEqual(['current', 'key-1', 'key-2', 'request', 'retired-1']);
});
