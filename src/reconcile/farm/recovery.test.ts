import { expect, test } from '@jest/globals';
import { aFarm } from '../../../test/builders/resources.ts';
import { FakeKube } from '../../../test/fakes/kube.ts';
import { findPrivateKey, makeRecoveryKey, openCopies } from '../../farm/recovery.ts';
import { kinds } from '../../kube/kinds.ts';
import { at } from '../../kube/object.ts';
import { decodeData, encodeData } from '../secrets.ts';
import { keepCopy, predecessorOf, predecessorText, RECOVERED_ANNOTATION, RECOVERY_KEY_ANNOTATION } from './recovery.ts';
import { type FarmFindings, farmStatus } from './status.ts';

const { signal } = new AbortController();
const MADE = makeRecoveryKey();
const farmWith = (annotations: Record<string, string>) => aFarm({ metadata: { uid: 'u', annotations } });
const farm = farmWith({ [RECOVERY_KEY_ANNOTATION]: MADE.publicText });
const secret = (name: string) => at(kinds.Secret, 'lab', `farm-${name}`);

async function aKube(): Promise<FakeKube> {
  const kube = new FakeKube();
  const data = (held: Record<string, string>) => ({
    data: encodeData(Object.fromEntries(Object.entries(held).map(([key, text]) => [key, Buffer.from(text)]))),
  });
  await kube.client.create(secret('keys'), data({ current: '1', 'key-1': 'k', id: 'i' }));
  await kube.client.create(secret('database'), data({ password: 'p', server: 's', 'tls.crt': 'c', 'tls.key': 'key' }));
  return kube;
}
const held = (kube: FakeKube): Record<string, string> => {
  const found = kube.objects.get('Secret lab/farm-recovery');
  return Object.fromEntries(Object.entries(found ? decodeData(found) : {}).map(([key, bytes]) => [key, `${bytes}`]));
};
const opened = (kube: FakeKube, file = 'a.sealed', key = MADE) => {
  const holder = findPrivateKey(key.privateText);
  return holder.ok ? openCopies(held(kube)[file] ?? '', holder.value) : holder;
};

test('all keys and the database’s passwords are sealed, what is made again is not, and a second reconcile writes nothing', async () => {
  const kube = await aKube();
  expect(await keepCopy(kube.client, farm, 'a', signal)).toEqual({ ok: true, value: { key: MADE.id } });
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  expect(opened(kube)).toMatchObject({
    value: [
      {
        farm: 'lab/farm',
        id: 'a',
        uid: 'u',
        secrets: {
          keys: { current: base64('1'), 'key-1': base64('k'), id: base64('i') },
          database: { password: base64('p'), server: base64('s') },
        },
      },
    ],
  });
  expect(JSON.stringify(opened(kube))).not.toContain('tls');
  const made = kube.writes.length;
  await kube.client.patch(secret('database'), { data: encodeData({ 'tls.crt': Buffer.from('renewed') }) });
  await keepCopy(kube.client, farm, 'a', signal);
  expect(kube.writes.slice(made)).toEqual(['patch Secret farm-database']);
});

test.each<{ what: string; change: (kube: FakeKube) => unknown; id?: string; key?: typeof MADE }>([
  {
    what: 'a password changed',
    change: (kube) => kube.client.patch(secret('database'), { data: encodeData({ password: Buffer.from('new') }) }),
  },
  {
    what: 'a key came',
    change: (kube) => kube.client.patch(secret('keys'), { data: encodeData({ 'key-2': Buffer.from('l') }) }),
  },
  { what: 'the recovery key is another', change: () => undefined, key: makeRecoveryKey() },
  { what: 'the farm of the database is another', change: () => undefined, id: 'b' },
  {
    what: 'the copy was taken away',
    change: (kube) => kube.client.patch(secret('recovery'), { data: { 'a.sealed': null } }),
  },
])('when $what, it is sealed anew, and is the only one', async ({ change, id = 'a', key = MADE }) => {
  const kube = await aKube();
  await keepCopy(kube.client, farm, 'a', signal);
  const before = held(kube)['a.sealed'];
  await change(kube);
  await keepCopy(kube.client, farmWith({ [RECOVERY_KEY_ANNOTATION]: key.publicText }), id, signal);
  expect(Object.keys(held(kube)).sort()).toEqual([`${id}.sealed`, 'content', 'recipient']);
  expect(held(kube)[`${id}.sealed`]).not.toBe(before);
  expect(opened(kube, `${id}.sealed`, key)).toMatchObject({ value: [{ id }] });
});

test('without a recovery key nothing is written, and one that is none is named', async () => {
  const kube = await aKube();
  const made = kube.writes.length;
  expect(await keepCopy(kube.client, farmWith({}), 'a', signal)).toEqual({ ok: true, value: 'None' });
  expect(await keepCopy(kube.client, farmWith({ [RECOVERY_KEY_ANNOTATION]: 'x' }), 'a', signal)).toMatchObject({
    value: { message: expect.stringMatching(/^annotation bootfarm.io\/recovery-key: it is no public key/) },
  });
  expect(kube.writes.slice(made)).toEqual([]);
});

test('a Farm that is made again without its annotation goes on with its recovery key, until it says that it has none', async () => {
  const kube = await aKube();
  await keepCopy(kube.client, farm, 'a', signal);
  const again = aFarm({ metadata: { uid: 'v' } });
  expect(await keepCopy(kube.client, again, 'a', signal)).toEqual({ ok: true, value: { key: MADE.id } });
  expect(opened(kube)).toMatchObject({ value: [{ uid: 'v' }] });
  const made = kube.writes.length;
  expect(await keepCopy(kube.client, farmWith({ [RECOVERY_KEY_ANNOTATION]: '' }), 'a', signal)).toMatchObject({
    value: 'None',
  });
  expect(kube.writes.slice(made)).toEqual([]);
});

test.each([
  ['a/u', { farm: 'a', uid: 'u' }],
  ['a', undefined],
  ['a/b/c', undefined],
  ['', undefined],
])('of whom a Farm has the keys: %j', (text, predecessor) => {
  expect(predecessorOf(farmWith({ [RECOVERED_ANNOTATION]: text }))).toEqual(predecessor);
  if (predecessor) expect(predecessorText(predecessor)).toBe(text);
});

test('the status says what was seen last, as long as the Farm has a recovery key', () => {
  const turned = { state: 'Settled' } as const;
  const findings: FarmFindings = {
    database: { reachable: true, since: 0 },
    databaseSource: '',
    servers: [],
    wanted: 0,
    devices: 0,
    keys: { state: 'Settled', current: 1, passwords: turned, ca: turned },
  };
  const now = new Date('2026-11-23T12:00:00Z');
  const status = farmStatus(farm, { ...findings, recovery: { key: 'k' } }, now);
  expect(status.keys?.recovery).toEqual({ key: 'k' });
  expect(farmStatus({ ...farm, status }, findings, now).keys?.recovery).toEqual({ key: 'k' });
  const none = farmStatus({ ...farm, status }, { ...findings, recovery: 'None' }, now);
  expect(none.keys).not.toHaveProperty('recovery');
});
