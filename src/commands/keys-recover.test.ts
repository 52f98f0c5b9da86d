/** `bootfarm keys recovery` and `bootfarm keys recover` on a Kubernetes API in memory; on a real one: test/integration/recovery.test.ts. */
import { expect, test } from '@jest/globals';
import { FakeKube } from '../../test/fakes/kube.ts';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { until } from '../../test/setup/time.ts';
import { makeRecoveryKey, parsePublicKey, type RecoveryCopy, sealCopy } from '../farm/recovery.ts';
import { ok } from '../kit/result.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import { RECOVERED_ANNOTATION, RECOVERY_KEY_ANNOTATION } from '../reconcile/farm/recovery.ts';
import { decodeData } from '../reconcile/secrets.ts';
import { keysCommand } from './keys.ts';

const KEY = makeRecoveryKey();
const target = at(kinds.Farm, 'lab', 'main');
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const sealed = (more: Partial<RecoveryCopy> = {}, { publicText } = KEY): string => {
  const recipient = parsePublicKey(publicText);
  if (!recipient.ok) throw new Error(recipient.error.message);
  const secrets = { keys: { current: base64('1'), 'key-1': base64('old') }, database: { password: base64('old') } };
  return sealCopy(
    { farm: 'lab/main', id: 'a', uid: 'u0', secrets, sealedAt: '2026-11-28T12:00:00Z', ...more },
    recipient.value,
  );
};

interface Given {
  readonly fed?: string;
  readonly typed?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** After something was said to standard error. */
  readonly heard?: (text: string) => void;
}

async function run(kube: FakeKube, args: readonly string[], { fed, typed, files = {}, heard }: Given = {}) {
  const { said, terminal } = fakeTerminal(heard);
  const input = {
    isTyped: typed !== undefined,
    readAll: async () => fed ?? '',
    ask: async () => typed ?? '',
    file: async (path: string) => {
      if (files[path] === undefined) throw new Error('no such file');
      return files[path];
    },
  };
  const command = keysCommand(terminal, () => ok(kube.client), input);
  await command.parseAsync([...args, '--farm', 'lab/main'], { from: 'user' });
  return said;
}

const condition = (type: string, reason: string, message: string) => ({
  type,
  status: 'False',
  reason,
  message,
  lastTransitionTime: '2026-11-28T12:00:00Z',
});
const LOST = condition('DatabaseReachable', 'DatabasePasswordLost', 'lost');
const USED = { database: { state: 'Reachable', farmID: 'a' } };

async function aFarm(
  status: object = { conditions: [LOST] },
  annotations: Record<string, string> = {},
): Promise<FakeKube> {
  const kube = new FakeKube();
  const head = {
    apiVersion: 'bootfarm.io/v1alpha1',
    kind: 'Farm',
    metadata: { annotations, uid: 'u1', generation: 1 },
  };
  await kube.client.create(target, { ...head, spec: { database: { embedded: {} } }, status });
  const make = (name: string, data: object) => kube.client.create(at(kinds.Secret, 'lab', name), { data });
  await make('main-keys', { current: base64('1'), 'key-1': base64('new') });
  await make('main-database', { password: base64('new'), 'tls.crt': base64('c') });
  return kube;
}
const secret = (kube: FakeKube, name: string): string => {
  const found = kube.objects.get(`Secret lab/main-${name}`);
  return JSON.stringify(Object.entries(found ? decodeData(found) : {}).map(([key, bytes]) => `${key}=${bytes}`));
};
const annotation = (kube: FakeKube, name: string) => kube.objects.get('Farm lab/main')?.metadata.annotations?.[name];
const operatorSeals = (kube: FakeKube) => () => {
  const key = parsePublicKey(annotation(kube, RECOVERY_KEY_ANNOTATION) ?? '');
  if (key.ok)
    void kube.client.patch(target, {
      status: { keys: { state: 'Settled', current: 1, recovery: { key: key.value.id } } },
    });
};

test('a recovery key is printed once, alone on standard output, and its public half kept', async () => {
  const kube = await aFarm();
  const said = await run(kube, ['recovery'], { heard: operatorSeals(kube) });
  expect(said).toMatchObject({ failed: false, out: expect.stringMatching(/^bootfarm-recovery-private-1:\S+\n$/) });
  expect(said.err).toMatch(
    /Recovery key [0-9a-f]{16} of Farm lab\/main .*\n.*first copy is sealed, in Secret main-recovery/,
  );
  expect(annotation(kube, RECOVERY_KEY_ANNOTATION)).toMatch(/^bootfarm-recovery-public-1:/);
  expect(JSON.stringify([...kube.objects.values()])).not.toContain(said.out.trim().split(':')[1]);
  const again = await run(kube, ['recovery']);
  expect(again).toMatchObject({ failed: true, out: '', err: expect.stringContaining('--replace makes another one') });
  const other = await run(kube, ['recovery', '--replace', '-o', 'json'], { heard: operatorSeals(kube) });
  expect(JSON.parse(other.out)).toMatchObject({
    farm: 'lab/main',
    publicKey: annotation(kube, RECOVERY_KEY_ANNOTATION),
    privateKey: expect.not.stringContaining(said.out.trim()),
  });
});

test('a key without a copy yet is told, and fails', async () => {
  const said = await run(await aFarm(), ['recovery', '--timeout', '0']);
  expect(said).toMatchObject({
    failed: true,
    out: expect.stringMatching(/^bootfarm-/),
    err: expect.stringContaining('there is no copy yet'),
  });
});

test('the newest copy is shown, or that there is none', async () => {
  const kube = await aFarm();
  expect(await run(kube, ['recovery', '--show-copy'])).toMatchObject({
    failed: true,
    err: expect.stringContaining('has no copy'),
  });
  const text = sealed();
  await kube.client.create(at(kinds.Secret, 'lab', 'main-recovery'), {
    data: { 'a.sealed': base64(text), content: base64('x') },
  });
  expect((await run(kube, ['recovery', '--show-copy'])).out).toBe(text);
  expect(JSON.parse((await run(kube, ['recovery', '--show-copy', '-o', 'json'])).out)).toEqual({
    farm: 'lab/main',
    copies: [text],
  });
});

test.each<{ what: string; args: string[]; given: Given; kept?: string }>([
  { what: 'both from standard input', args: [], given: { fed: `${KEY.privateText}\n${sealed()}` } },
  {
    what: 'the key typed, the copy a file',
    args: ['--copy', 'c'],
    given: { typed: KEY.privateText, files: { c: sealed() } },
  },
  {
    what: 'both from files',
    args: ['--copy', 'c', '--key', 'k'],
    given: { files: { c: sealed(), k: KEY.privateText } },
  },
  {
    what: 'the key a file, the copy from standard input',
    args: ['--copy', '-', '--key', 'k'],
    given: { fed: sealed(), files: { k: KEY.privateText } },
  },
  {
    what: 'the key from standard input, the copy from its Secret',
    args: [],
    given: { fed: KEY.privateText },
    kept: sealed(),
  },
])('$what: the Secrets are those of the copy', async ({ args, given, kept }) => {
  const kube = await aFarm();
  if (kept) await kube.client.create(at(kinds.Secret, 'lab', 'main-recovery'), { data: { 'a.sealed': base64(kept) } });
  const [said] = await Promise.all([run(kube, ['recover', ...args], given), operatorUses(kube)]);
  expect(said).toMatchObject({ failed: false, err: '', out: expect.stringContaining('are written') });
  expect([secret(kube, 'keys'), secret(kube, 'database')]).toEqual([
    '["current=1","key-1=old"]',
    '["password=old","tls.crt=c"]',
  ]);
  expect(annotation(kube, RECOVERED_ANNOTATION)).toBe('a/u0');
  expect(annotation(kube, RECOVERY_KEY_ANNOTATION)).toBe(KEY.publicText);
  const writes = kube.writes.length;
  expect(await run(kube, ['recover', ...args], given)).toMatchObject({
    failed: false,
    out: expect.stringContaining('are there already'),
  });
  expect(kube.writes.slice(writes)).toEqual([]);
});

/** The operator, once the Secrets are those that its database takes. */
async function operatorUses(kube: FakeKube): Promise<void> {
  await until('the keys are written', () => secret(kube, 'database').includes('password=old'));
  await kube.client.patch(target, { status: USED });
}

const both = KEY.privateText + sealed();
test.each<{ what: string; args?: string[]; fed?: string; says: string; status?: object }>([
  { what: 'nothing on standard input', says: 'there is no recovery key' },
  { what: 'no copy anywhere', fed: KEY.privateText, says: 'Secret main-recovery has none, either' },
  { what: 'a file that is not there', args: ['--key', 'k'], says: 'k: no such file' },
  { what: 'a copy of another key', fed: KEY.privateText + sealed({}, makeRecoveryKey()), says: 'is sealed for key' },
  { what: 'a copy of another Farm', fed: KEY.privateText + sealed({ farm: 'old/main' }), says: 'say --of old/main' },
  { what: 'a database that is in use', fed: both, says: 'nothing is overwritten', status: USED },
  { what: 'a database of which nobody knows', fed: both, says: 'wait until it answers', status: {} },
  { what: 'a timeout that is none', args: ['--timeout', 'x'], fed: both, says: '--timeout x is no number of seconds' },
])('$what: refused, and nothing is written', async ({ args = [], fed = '', says, status }) => {
  const given = { fed };
  const kube = await aFarm(status);
  const writes = kube.writes.length;
  expect(await run(kube, ['recover', ...args], given)).toMatchObject({
    failed: true,
    err: expect.stringContaining(says),
  });
  expect(kube.writes.slice(writes)).toEqual([]);
});

test('an operator that does not use the database in time is told of, with what it says', async () => {
  const kube = await aFarm({ conditions: [LOST, condition('Ready', 'DatabaseForeign', 'set spec.adopt')] });
  const said = await run(kube, ['recover', '--timeout', '0'], { fed: both });
  expect(said).toMatchObject({ failed: true, err: expect.stringContaining('is not used yet: set spec.adopt') });
});
