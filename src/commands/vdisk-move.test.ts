import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { FakeKube } from '../../test/fakes/kube.ts';
import { fakeTerminal, type Said } from '../../test/fakes/terminal.ts';
import { ok } from '../kit/result.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import { addMove } from './vdisk-move.ts';

const head = (kind: string) => ({ apiVersion: 'bootfarm.io/v1alpha1', kind, metadata: { uid: 'u', generation: 1 } });

async function aFarm(): Promise<FakeKube> {
  const kube = new FakeKube();
  const spec = { farmRef: { name: 'farm' }, storeRef: { name: 'images' }, fileName: 'win' };
  await kube.client.create(at(kinds.VDisk, 'lab', 'win'), { ...head('VDisk'), spec });
  for (const name of ['images', 'fast']) {
    const store = { farmRef: { name: 'farm' }, local: { path: `/srv/${name}` } };
    await kube.client.create(at(kinds.Store, 'lab', name), { ...head('Store'), spec: store });
  }
  return kube;
}

async function run(kube: FakeKube, ...words: string[]): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  const command = new Command('vdisk').exitOverride();
  addMove(command, terminal, () => ok(kube.client), 1);
  await command.parseAsync(words, { from: 'user' });
  return said;
}

const specOf = (kube: FakeKube) => (kube.objects.get('VDisk lab/win') as { spec?: object } | undefined)?.spec;
const told = async (kube: FakeKube, status: object): Promise<void> => {
  const done = await kube.client.patch(at(kinds.VDisk, 'lab', 'win'), { status });
  if (!done.ok) throw new Error(done.error.message);
};

test('it is printed for git and for a shell, and nothing is changed', async () => {
  const kube = await aFarm();
  const { out, failed } = await run(kube, 'move', 'lab/win', '--to', 'fast', '--remove-old', '--dry-run');
  expect([failed, out]).toEqual([false, expect.stringContaining('it goes from Store images to Store fast')]);
  expect(out).toContain(`--patch '{"spec":{"storeRef":{"name":"fast"},"movePolicy":"Delete"}}'`);
  expect(specOf(kube)).toMatchObject({ storeRef: { name: 'images' } });
});

test('it is made, once, and is followed until it is there', async () => {
  const kube = await aFarm();
  const moving = {
    type: 'Moving',
    status: 'True',
    reason: 'Copying',
    message: '0 of 1',
    lastTransitionTime: '2026-11-30T00:00:00Z',
  };
  await told(kube, { observedGeneration: 1, store: 'fast', movingFrom: ['images'], conditions: [moving] });
  const followed = run(kube, 'move', 'lab/win', '--to', 'fast', '--apply', '--wait');
  while (!JSON.stringify(specOf(kube)).includes('fast')) await new Promise(setImmediate);
  const { generation } = kube.objects.get('VDisk lab/win')?.metadata ?? {};
  await told(kube, { observedGeneration: generation, store: 'fast', movingFrom: [], conditions: [] });
  const { out } = await followed;
  expect(out).toMatch(/^lab\/win: it goes from .*\n(lab\/win: 0 of 1\n)?lab\/win: it is in Store fast\n$/);
  const again = await run(kube, 'move', 'lab/win', '--to', 'fast', '--apply', '-o', 'json');
  expect(JSON.parse(again.out)).toMatchObject({ applied: true, patch: { spec: {} } });
});

test.each([
  [['move', 'win', '--to', 'fast'], 'win: write the VDisk as NAMESPACE/NAME'],
  [['move', 'lab/win', '--to', 'slow'], 'VDisk lab/win: namespace lab has no Store slow'],
  [['move', 'lab/linux', '--to', 'fast'], 'VDisk lab/linux: '],
  [['move', 'lab/win', '--to', 'fast', '--wait'], '--wait: there is nothing to wait for without --apply'],
])('%j is refused: %s', async (words, says) => {
  const kube = await aFarm();
  const before = [...kube.writes];
  expect(await run(kube, ...words)).toMatchObject({ failed: true, err: expect.stringContaining(`error: ${says}`) });
  expect(kube.writes).toEqual(before);
});
