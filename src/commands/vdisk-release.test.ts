import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { FakeKube } from '../../test/fakes/kube.ts';
import { fakeTerminal, type Said } from '../../test/fakes/terminal.ts';
import { ok } from '../kit/result.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import { addReleaseCommands } from './vdisk-release.ts';

const VERSIONS = [
  { number: 0, access: 'Production' },
  { number: 1, access: 'Test', description: "it's new" },
];

async function aVDisk(): Promise<FakeKube> {
  const kube = new FakeKube();
  const spec = { farmRef: { name: 'lab' }, storeRef: { name: 'images' }, fileName: 'win', versions: VERSIONS };
  const head = { apiVersion: 'bootfarm.io/v1alpha1', kind: 'VDisk', metadata: { uid: 'u', generation: 1 } };
  await kube.client.create(at(kinds.VDisk, 'lab', 'win'), { ...head, spec });
  return kube;
}

async function run(kube: FakeKube, ...words: string[]): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  const command = new Command('vdisk');
  addReleaseCommands(command, terminal, () => ok(kube.client));
  await command.parseAsync(words, { from: 'user' });
  return said;
}

const versions = (kube: FakeKube) => (kube.objects.get('VDisk lab/win') as { spec?: object } | undefined)?.spec;

test('an edit is printed for git and for a shell, and nothing is changed', async () => {
  const kube = await aVDisk();
  const { out, failed } = await run(kube, 'promote', 'lab/win', '1');
  expect(failed).toBe(false);
  expect(out).toContain('lab/win: version 1 becomes Production\nput that into git');
  expect(out).toContain(`kubectl patch vd win -n lab --type=merge --patch '{"spec":{"versions":[`);
  expect(out).toContain(`it'\\''s new`);
  expect(versions(kube)).toMatchObject({ versions: VERSIONS });
});

test('it is made, once; made again it changes nothing; and it is undone', async () => {
  const kube = await aVDisk();
  expect((await run(kube, 'promote', 'lab/win', '1', '--apply')).out).toBe('lab/win: version 1 becomes Production\n');
  expect(versions(kube)).toMatchObject({ versions: [{ access: 'Production' }, { access: 'Production' }] });
  const again = await run(kube, 'promote', 'lab/win', '1', '--apply', '-o', 'json');
  expect(JSON.parse(again.out)).toMatchObject({ applied: true, patch: { spec: {} } });
  expect((await run(kube, 'revert', 'lab/win', '--apply')).out).toContain('version 1 becomes Test');
  expect(versions(kube)).toMatchObject({ versions: [{ access: 'Production' }, { access: 'Test' }] });
});

test.each([
  [['promote', 'win', '1'], 'win: write the VDisk as NAMESPACE/NAME'],
  [['promote', 'lab/win', 'one'], 'version one: it must be a number from 0 to 999999'],
  [['promote', 'lab/win', '1', '--release-at', 'monday'], '--release-at monday: write it as'],
  [
    ['promote', 'lab/win', '1', '--release-at', '2026-02-30T06:00:00Z'],
    '--release-at 2026-02-30T06:00:00Z: write it as',
  ],
  [['promote', 'lab/linux', '1'], 'VDisk lab/linux: '],
  [['revert', 'lab/win'], 'VDisk lab/win: there is no released Production version before 0: there is 0'],
])('%j is refused: %s', async (words, says) => {
  const kube = await aVDisk();
  const before = [...kube.writes];
  expect(await run(kube, ...words)).toMatchObject({ failed: true, err: expect.stringContaining(`error: ${says}`) });
  expect(kube.writes).toEqual(before);
});
