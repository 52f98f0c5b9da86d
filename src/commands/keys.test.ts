import { expect, test } from '@jest/globals';
import { FakeKube } from '../../test/fakes/kube.ts';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { fail, ok } from '../kit/result.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import { ROTATE_KEYS_ANNOTATION } from '../reconcile/farm/rotation.ts';
import { ROTATE_CA_ANNOTATION, ROTATE_PASSWORDS_ANNOTATION } from '../reconcile/farm/turn.ts';
import { keysCommand } from './keys.ts';

const DONE = { state: 'Overlapping', current: 2, request: 'r1', message: 'the old one opens' };
const target = at(kinds.Farm, 'lab', 'main');

async function run(kube: FakeKube, ...args: string[]) {
  const { said, terminal } = fakeTerminal((text) => {
    if (text.includes('on the way')) void kube.client.patch(target, { status: { keys: DONE } });
  });
  await keysCommand(terminal, () => ok(kube.client)).parseAsync(['rotate', ...args], { from: 'user' });
  return said;
}

/** An operator that has done what the annotation asks for. */
async function aFarm(request?: string, keys?: object): Promise<FakeKube> {
  const kube = new FakeKube();
  const annotations = request === undefined ? {} : { [ROTATE_KEYS_ANNOTATION]: request };
  const spec = { database: { embedded: {} } };
  const head = { apiVersion: 'bootfarm.io/v1alpha1', kind: 'Farm', metadata: { annotations, uid: 'u', generation: 1 } };
  await kube.client.create(target, { ...head, spec, ...(keys ? { status: { keys } } : {}) });
  return kube;
}
const asked = (kube: FakeKube) => kube.objects.get('Farm lab/main')?.metadata.annotations?.[ROTATE_KEYS_ANNOTATION];

test('one that is on its way is joined, not asked for again', async () => {
  const kube = await aFarm('r1', { state: 'Distributing', current: 1, request: 'r1', message: 'waiting for node-b' });
  const said = await run(kube, '--farm', 'lab/main', '--timeout', '0');
  expect(asked(kube)).toBe('r1');
  expect(said.out).toContain('on the way already, asked for by r1\nwaiting for node-b\n');
  expect(said).toMatchObject({ failed: true, err: expect.stringContaining('it goes on') });
});

test('after one that is done, a new one is asked for, in the only farm there is', async () => {
  const kube = await aFarm('r1', { state: 'Overlapping', current: 2, request: 'r1' });
  const said = await run(kube, '--timeout', '0');
  expect(asked(kube)).toMatch(/^\d{4}-\d\d-\d\dT/);
  expect(said).toMatchObject({ failed: true, out: expect.stringContaining('a new key: asked for by') });
});

test('what the operator has done is told, and as JSON alone on standard output', async () => {
  const kube = await aFarm('r1'); // and the operator answers when the command has begun
  const said = await run(kube, '--farm', 'lab/main', '--timeout', '20', '-o', 'json');
  expect(said).toMatchObject({ failed: false, err: expect.stringContaining('key 2 seals now. the old one opens') });
  expect(JSON.parse(said.out)).toEqual(DONE);
});

test.each([
  { flag: '--passwords', annotation: ROTATE_PASSWORDS_ANNOTATION, field: 'passwords', says: 'new passwords' },
  { flag: '--ca', annotation: ROTATE_CA_ANNOTATION, field: 'ca', says: 'a new authority' },
])('$flag asks by $annotation, and --now waits for nobody', async ({ flag, annotation, field, says }) => {
  const kube = await aFarm();
  const request = () => kube.objects.get('Farm lab/main')?.metadata.annotations?.[annotation] ?? '';
  expect((await run(kube, flag, '--timeout', '0')).out).toContain(`${says}: asked for by ${request()}\n`);
  expect([request(), asked(kube)]).toEqual([expect.stringMatching(/Z$/), undefined]);
  await run(kube, flag, '--now', '--timeout', '0'); // what is under way is not joined: it waits
  expect(request()).toMatch(/Z\/now$/);
  await kube.client.patch(target, {
    status: { keys: { state: 'Settled', current: 1, [field]: { state: 'Distributing' } } },
  });
  expect((await run(kube, flag, '--now', '--timeout', '0')).out).toContain('on the way already');
});

test.each([
  { args: ['--farm', 'main'], says: '--farm main: write it as NAMESPACE/NAME' },
  { args: ['--farm', 'lab/other'], says: 'not found' },
  { args: ['--farm', 'lab/main', '--timeout', 'x'], says: '--timeout x is no number of seconds' },
])('$args is refused', async ({ args, says }) => {
  expect(await run(await aFarm(), ...args)).toMatchObject({ failed: true, err: expect.stringContaining(says) });
});

test('who may not list the farms of all namespaces is told to name one', async () => {
  const kube = await aFarm();
  kube.client.listAll = async () => fail('Forbidden', 'farms is forbidden: User cannot list at the cluster scope');
  expect(await run(kube)).toMatchObject({ failed: true, err: expect.stringContaining('by --farm NAMESPACE/NAME') });
});

test('where there is no Kubernetes API, the command says where to go', async () => {
  const { KUBECONFIG, HOME } = process.env;
  process.env['KUBECONFIG'] = '';
  process.env['HOME'] = '/nowhere';
  const { said, terminal } = fakeTerminal();
  try {
    await keysCommand(terminal).parseAsync(['rotate', '--farm', 'lab/main'], { from: 'user' });
  } finally {
    Object.assign(process.env, { HOME, ...(KUBECONFIG === undefined ? {} : { KUBECONFIG }) });
  }
  expect(said).toMatchObject({ failed: true, err: expect.stringContaining('in the pod of the operator') });
});
