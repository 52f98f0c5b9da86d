import { X509Certificate } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { aFarm, type Written } from '../../../test/builders/resources.ts';
import { FakeKube } from '../../../test/fakes/kube.ts';
import type { ServerStatus } from '../../control/status.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject } from '../../kube/object.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { ensureInfrastructure, type Seen } from './infrastructure.ts';
import { ROTATE_KEYS_ANNOTATION } from './rotation.ts';
import { ROTATE_CA_ANNOTATION, ROTATE_PASSWORDS_ANNOTATION } from './turn.ts';

const { signal } = new AbortController();
const farmOf = (spec: Written<Farm['spec']>, annotations: Record<string, string> = {}): Farm =>
  aFarm({ metadata: { name: 'lab', namespace: 'ns', uid: '1', annotations }, spec });
const embedded = farmOf({ database: { embedded: {} } });
const server = (name: string, ...keys: number[]): ServerView =>
  ({ name, reachable: true, message: '', status: { keys } as unknown as ServerStatus }) as ServerView;

const contextOf = ({ client }: FakeKube): Context => {
  const settings = { image: 'bootfarm:1', release: '1', allowedHostPaths: [], allowedImages: [] };
  return { client, settings } as unknown as Context;
};

const observe = async (
  kube: FakeKube,
  farm: Farm,
  servers: readonly ServerView[] | 'not asked' = [],
  takeUp?: Seen['takeUp'],
) => {
  const seen = { servers: servers === 'not asked' ? undefined : servers, takeUp };
  const made = await ensureInfrastructure(contextOf(kube), farm, farm as unknown as KubeObject, seen, signal);
  if (!made.ok) throw new Error(`${made.error.code}: ${made.error.message}`);
  return made.value;
};
const held = (kube: FakeKube, name: string): Record<string, string> => {
  const { data } = kube.objects.get(`Secret ns/${name}`) as unknown as { data: Record<string, string> };
  return Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString('latin1')]),
  );
};

test('an embedded database and replica are made once, and a second reconcile writes nothing', async () => {
  const kube = new FakeKube();
  const first = await observe(kube, embedded);
  const made = kube.writes.length;
  expect(await observe(kube, embedded)).toEqual(first);
  expect(kube.writes.slice(made)).toEqual([]);
  expect(first.inputs.database.uri).toMatch(/^postgresql:\/\/bootfarm:[^@]+@10\.96\.0\.10:5432\/bootfarm$/);
});

test('both have certificates of the farm’s authority for their addresses, and are believed by it alone', async () => {
  const kube = new FakeKube();
  const { inputs } = await observe(kube, embedded);
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
  const farm = farmOf({ database: { external: { secretRef: { name: 'db' } } } });
  const uri = 'postgresql://me@db.example/farm?sslmode=verify-full';
  const data = (files: Record<string, string>) => ({
    data: Object.fromEntries(Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  });
  const target = { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespace: 'ns', name: 'db' };
  await kube.client.create(target, data({ uri }));
  expect((await observe(kube, farm)).inputs.database).toEqual({ uri });
  await kube.client.patch(target, data({ 'ca.crt': 'PEM' }));
  expect((await observe(kube, farm)).inputs.database).toEqual({ uri, ca: 'PEM' });
});

test('a new key goes its way from reconcile to reconcile, whoever leads', async () => {
  const kube = new FakeKube();
  await observe(kube, embedded);
  const asked = farmOf({ database: { embedded: {} } }, { [ROTATE_KEYS_ANNOTATION]: 'now' });
  const keys = () =>
    Object.keys(held(kube, 'lab-keys'))
      .filter((name) => name !== 'lineage')
      .sort();
  await observe(kube, asked, [server('a', 1), server('b', 1)]);
  expect(keys()).toEqual(['current', 'key-1', 'key-2', 'request']);
  const begun = { state: 'Distributing', current: 1, message: expect.stringContaining('waiting for what they say') };
  expect((await observe(kube, asked, 'not asked')).keys).toMatchObject({ ...begun, isQuiet: false });
  expect((await observe(kube, asked, [server('a', 1, 2), server('b', 1)])).keys).toMatchObject({
    state: 'Distributing',
    message: 'key 2 is used when every server has it: waiting for b',
    isQuiet: false,
  });
  await observe(kube, asked, [server('a', 1, 2), server('b', 1, 2)]);
  expect(held(kube, 'lab-keys')['current']).toBe('2');
  const settled = await observe(kube, asked, [server('a', 1, 2), server('b', 1, 2)]);
  expect(settled.keys).toMatchObject({ state: 'Overlapping', current: 2, request: 'now', isQuiet: true });
  expect((await observe(kube, asked, 'not asked')).keys).toEqual(settled.keys); // another leader takes nothing back
  expect(keys()).toEqual(['current', 'key-1', 'key-2', 'request', 'retired-1']);
});

test('a lineage is of the Secret that holds the keys: it stays with them, and new keys have another', async () => {
  const kube = new FakeKube();
  const lineage = async () => (await observe(kube, embedded)).inputs.lineage;
  const first = await lineage();
  expect(first).toMatch(/^[0-9a-f]{16}$/);
  expect(await lineage()).toBe(first);
  expect(held(kube, 'lab-keys')['lineage']).toBe(first);
  const second = (await observe(new FakeKube(), embedded)).inputs.lineage;
  expect(second).toMatch(/^[0-9a-f]{16}$/);
  expect(second).not.toBe(first);
});

test.each(['', 'none', '../../other', 'ABCDEF0123456789'])(
  'keys with lineage %j get one, and stay',
  async (written) => {
    const kube = new FakeKube();
    await observe(kube, embedded);
    const { 'key-1': key } = held(kube, 'lab-keys');
    const data = { lineage: Buffer.from(written).toString('base64') };
    await kube.client.patch(at(kinds.Secret, 'ns', 'lab-keys'), { data });
    expect((await observe(kube, embedded)).inputs.lineage).toMatch(/^[0-9a-f]{16}$/);
    expect(held(kube, 'lab-keys')['key-1']).toBe(key);
  },
);

test.each(['Service', 'StatefulSet'] as const)('a %s of that name which is a person’s is not taken', async (kind) => {
  const kube = new FakeKube();
  const spec = { theirs: true };
  await kube.client.create(at(kinds[kind], 'ns', 'lab-database'), { metadata: { labels: { app: 'theirs' } }, spec });
  const owner = embedded as unknown as KubeObject;
  const made = await ensureInfrastructure(contextOf(kube), embedded, owner, {}, signal);
  expect(made).toMatchObject({ ok: false, error: { code: 'ApplyRefused' } });
  expect(made.ok || made.error.message).toContain(`${kind} lab-database in namespace ns is not bootfarm's`);
  expect(kube.writes.filter((write) => write.startsWith('apply') && write.endsWith(`${kind} lab-database`))).toEqual(
    [],
  );
});

/** A farm whose database is a person's: nothing here asks it. */
async function anExternal(request: Record<string, string>): Promise<[FakeKube, Farm]> {
  const kube = new FakeKube();
  const uri = Buffer.from('postgresql://me@db.example/farm').toString('base64');
  await kube.client.create(at(kinds.Secret, 'ns', 'db'), { data: { uri } });
  const farm = (annotations: Record<string, string>): Farm =>
    farmOf({ database: { external: { secretRef: { name: 'db' } } } }, annotations);
  await observe(kube, farm({}));
  const told = `postgresql://farm_server:${held(kube, 'lab-database')['server']}@db.example/farm`;
  const target = at(kinds.Secret, 'ns', 'lab-database');
  await kube.client.patch(target, { data: { 'server-uri': Buffer.from(told).toString('base64') } });
  return [kube, farm(request)];
}
const passwords = (kube: FakeKube) => {
  const users = held(kube, 'lab-replica')['users.acl'] ?? '';
  return {
    accepted: users.split('\n').map((user) => user.match(/#[0-9a-f]{64}/g)?.length ?? 0),
    roles: ['role', 'role-next', 'role-former'].map((key) => held(kube, 'lab-database')[key]),
  };
};

test('new passwords are accepted beside the old ones, used when that is so everywhere, and the old ones end when nobody uses them', async () => {
  const [kube, farm] = await anExternal({ [ROTATE_PASSWORDS_ANNOTATION]: 'r1' });
  const before = held(kube, 'lab-replica')['projector'] ?? '';
  const first = await observe(kube, farm);
  const next = held(kube, 'lab-replica')['projector-next'] ?? '';
  expect(passwords(kube)).toEqual({ accepted: [0, 2, 2, 0], roles: ['1', '2', undefined] });
  expect(first.inputs.redis.url).toContain(before);
  expect(first.inputs.provenRedis.url).toContain(next);
  expect(first.inputs.serverLogins).toMatchObject({ current: { turn: '1' }, next: { turn: '2' }, isAlone: false });

  const lacking = { of: first.inputs.turns, lacking: ['server node-b'] };
  expect((await observe(kube, farm, [], lacking)).keys).toMatchObject({
    isQuiet: false,
    passwords: { state: 'Distributing', message: expect.stringContaining('waiting for server node-b') },
  });
  const second = await observe(kube, farm, [], { ...lacking, lacking: [] });
  expect(passwords(kube)).toEqual({ accepted: [0, 2, 2, 0], roles: ['2', undefined, '1'] });
  expect(second.inputs.redis.url).toContain(next);
  expect(second.inputs.serverLogins).toMatchObject({ current: { turn: '2' }, isAlone: false });
  // With the password of followers: servers are started again once.
  const { password } = second.inputs.serverLogins.current;
  expect(second.inputs.serverUri).toBe(`postgresql://farm_server2:${password}@db.example/farm`);
  expect(second.inputs.primary?.followerPassword).not.toBe(first.inputs.primary?.followerPassword);

  await observe(kube, farm, [], { ...lacking, lacking: [] }); // what was seen is of the state before
  expect(passwords(kube).accepted).toEqual([0, 2, 2, 0]);
  await observe(kube, farm, [], { of: second.inputs.turns, lacking: [] });
  expect(passwords(kube)).toEqual({ accepted: [0, 1, 1, 0], roles: ['2', undefined, undefined] });
  const done = await observe(kube, farm);
  expect(done.keys).toMatchObject({ isQuiet: true, passwords: { state: 'Settled', request: 'r1' } });
  expect(done.inputs.serverLogins.isAlone).toBe(true);
});

test('a new authority is believed by all before it signs, and the old one until all certificates are anew', async () => {
  const kube = new FakeKube();
  const { inputs: old } = await observe(kube, embedded);
  const farm = farmOf({ database: { embedded: {} } }, { [ROTATE_CA_ANNOTATION]: 'r1' });
  const signers = () =>
    ['lab-database', 'lab-replica', 'lab-operator-tls'].map((name) => {
      const given = new X509Certificate(held(kube, name)['tls.crt'] ?? '');
      return given.verify(new X509Certificate(old.authority.signer.cert).publicKey) ? 'old' : 'new';
    });
  const believed = (pem: string) => pem.split('END CERTIFICATE').length - 1;

  const { inputs: added } = await observe(kube, farm);
  expect([believed(added.authority.trust), signers()]).toEqual([2, ['old', 'old', 'old']]);
  expect(added.identity.ca).toBe(added.authority.trust);
  const { inputs: switched } = await observe(kube, farm, [], { of: added.turns, lacking: [] });
  expect([believed(switched.authority.trust), signers()]).toEqual([2, ['new', 'new', 'new']]);
  expect(switched.authority.trust.startsWith(switched.authority.signer.cert)).toBe(true);
  expect(switched.provenDatabase?.ca).toBe(switched.authority.signer.cert);
  expect(held(kube, 'lab-ca')).not.toHaveProperty('tls.key-former');
  const { inputs: dropped } = await observe(kube, farm, [], { of: switched.turns, lacking: [] });
  expect(dropped.authority.trust.trim()).toBe(switched.authority.signer.cert);
  expect(held(kube, 'lab-replica')['ca.crt']?.trim()).toBe(dropped.authority.signer.cert);
  expect((await observe(kube, farm)).keys).toMatchObject({ isQuiet: true, ca: { state: 'Settled', request: 'r1' } });
});

test('what leaked ends in three looks, whoever lacks the new one', async () => {
  const [kube, farm] = await anExternal({ [ROTATE_PASSWORDS_ANNOTATION]: 'r1/now', [ROTATE_CA_ANNOTATION]: 'r1/now' });
  const before = held(kube, 'lab-replica')['projector'];
  const authority = held(kube, 'lab-ca')['tls.crt'] ?? '';
  for (let turn = 0; turn < 3; turn++) await observe(kube, farm, 'not asked');
  expect(passwords(kube).accepted).toEqual([0, 1, 1, 0]);
  expect(held(kube, 'lab-replica')['projector']).not.toBe(before);
  expect(held(kube, 'lab-replica')['ca.crt']).not.toContain(authority.trim());
  expect((await observe(kube, farm, 'not asked')).keys).toMatchObject({ passwords: { request: 'r1/now' } });
});
