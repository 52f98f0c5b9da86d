import { expect, test } from '@jest/globals';
import { aVDisk, type Written } from '../../../test/builders/resources.ts';
import type { CopyReport } from '../../control/status.ts';
import { manifestDigest } from '../../farm/files.ts';
import type { Spread } from '../../farm/spread.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { type CopyHolder, judge, nowSettled, type VDiskFindings } from './judge.ts';
import { apart, chosenStatus, spreadOf } from './spread.ts';
import { vdiskStatus } from './status.ts';

const NOW = Date.parse('2026-11-30T12:00:00Z') / 1_000;
const GIB = 2 ** 30;
const files = [{ name: 'lab.raw', sizeBytes: 3 * GIB, sha256: 'a'.repeat(64) }];
const manifest = manifestDigest(files);
const report = (more: Partial<CopyReport> = {}): CopyReport => ({
  ...{ vdisk: 'lab', version: 0, state: 'Present', progressPercent: 100, files, manifest, diskBytes: 1, message: '' },
  ...more,
});
const missing = report({ state: 'Missing', files: [], message: 'lab.raw is not there' });
const { manifest: _, ...lacking } = missing;
const holder = (server: string, copy: CopyReport | undefined, more: Partial<CopyHolder> = {}): CopyHolder => ({
  ...{ server, folder: '/srv', reachable: true, silentMs: 0, reports: copy ? [copy] : [], unmanaged: [], work: [] },
  store: { state: 'Accessible', freeBytes: 9 * GIB, totalBytes: 10 * GIB },
  ...more,
});
const away = { reachable: false, silentMs: 4_000_000 };
const OTHER = report({ manifest: 'b'.repeat(64) });

function looked(
  copies: number,
  holders: readonly CopyHolder[],
  chosen?: readonly string[],
  more: Partial<VDiskFindings> = {},
  spec: Partial<Written<VDisk['spec']>> = {},
) {
  const since = '2026-11-30T00:00:00Z';
  const vdisk = aVDisk({
    spec: { copies, ...spec },
    ...(chosen ? { status: { chosen: chosen.map((name) => ({ name, since })) } } : {}),
  });
  const findings: VDiskFindings = {
    ...{ holders, recorded: new Map([[0, { manifest }]]), overrides: [], devices: 0, nowSeconds: NOW },
    wanted: { count: copies, replicates: true, replaceAfterSeconds: 1_800 },
    ...more,
  };
  const all = judge(vdisk, findings);
  const spread = spreadOf(vdisk, findings, all) as Spread;
  const versions = apart(all, spread);
  const status = vdiskStatus(vdisk, findings, versions, new Date(1_000 * NOW), chosenStatus(spread));
  const replicated = status.conditions?.find(({ type }) => type === 'Replicated');
  return { status, replicated, settled: nowSettled(vdisk, versions) };
}
const copiesOf = ({ status }: ReturnType<typeof looked>) =>
  status.copies?.map(({ server, state, surplus }) => `${server} ${state}${surplus ? ' surplus' : ''}`);
const chosenOf = ({ status }: ReturnType<typeof looked>) => status.chosen?.map(({ name }) => name);

const A = holder('node-a', report());
const B = holder('node-b', report());
const C = holder('node-c', report());

test('of three that have it two are chosen, and the third is too many: enough are right', () => {
  const found = looked(2, [A, B, C], ['node-a', 'node-b', 'node-c']);
  expect(chosenOf(found)).toHaveLength(2);
  expect(copiesOf(found)?.filter((copy) => copy.endsWith('surplus'))).toHaveLength(1);
  expect(found).toMatchObject({ status: { upToDate: '2/2' }, replicated: { status: 'True' }, settled: [0] });
});

test('who was not chosen and has nothing is not told of', () => {
  const found = looked(1, [A, holder('node-b', lacking)], ['node-a']);
  expect(copiesOf(found)).toEqual(['node-a UpToDate']);
  expect(found.replicated).toMatchObject({ status: 'True', message: '1 of 1 copies of all versions are right' });
});

test('what somebody put on a server that was not chosen, and is not right, is told of and counts for nothing', () => {
  const found = looked(1, [A, holder('node-b', OTHER)], ['node-a']);
  expect(copiesOf(found)).toEqual(['node-a UpToDate', 'node-b OutOfDate surplus']);
  expect(found.status.copies?.[1]?.message).toMatch(/was not chosen .* until somebody removes it/);
  expect(found.replicated?.status).toBe('True');
});

test('one that is away for long is stood in for: it keeps its place, and Replicated asks for its stand-in', () => {
  const found = looked(2, [holder('node-a', report(), away), B, holder('node-c', lacking)], ['node-a', 'node-b']);
  expect(chosenOf(found)).toEqual(['node-a', 'node-b', 'node-c']);
  expect(found.status.chosen?.[0]?.awaySince).toBe('2026-11-30T10:53:20Z');
  expect(copiesOf(found)).toEqual(['node-b UpToDate', 'node-c Missing', 'node-a ServerUnreachable']);
  expect(found).toMatchObject({ status: { upToDate: '1/2' }, replicated: { status: 'False' }, settled: [] });
});

test('of fewer servers than copies it is said how many may keep one', () => {
  const found = looked(3, [A, B], ['node-a', 'node-b']);
  expect(found.replicated).toMatchObject({ status: 'False', reason: 'TooFewCopies' });
  expect(found.replicated?.message).toContain('spec.copies asks for 3 and 2 servers of the store may keep one');
  expect(found.settled).toEqual([0]);
});

test('a server that was chosen and has no room is named before anything is copied', () => {
  const storeServers = ['node-a', 'node-b'].map((name) => ({
    ...{ name, state: 'Accessible' as const, freeBytes: GIB, totalBytes: 9 * GIB, needBytes: 3 * GIB },
  }));
  const found = looked(2, [A, holder('node-b', lacking)], ['node-a', 'node-b'], { storeServers });
  expect(found.replicated).toMatchObject({ status: 'False', reason: 'NoRoom' });
  expect(found.replicated?.message).toContain(
    'store images: server node-b has room for 1.0 GiB and lacks files of up to 3.0 GiB',
  );
  expect(found.replicated?.message).not.toContain('server node-a');
});

test('a folder that is not made yet has room, and a store that is not there has none', () => {
  const absent = { store: { state: 'Missing', freeBytes: 0, totalBytes: 0 } as const };
  const made = { store: { ...absent.store, isAbsent: true as const } };
  expect(
    chosenOf(looked(2, [A, holder('node-b', lacking, absent), holder('node-c', lacking, made)]))?.toSorted(),
  ).toEqual(['node-a', 'node-c']);
});

const noKernel = { ...lacking, lacksBootFiles: '5f0c11d2' };
const broken = { ...lacking, state: 'Faulty' as const, message: 'lab.raw is no disk' };
const unknown = { recorded: new Map() };

test('an image without kernel is something: who has it is chosen where nobody has all of it', () => {
  const found = looked(1, [holder('node-a', lacking), holder('node-b', noKernel)], ['node-a'], unknown);
  expect(chosenOf(found)).toEqual(['node-b']);
});

test('on a server that was not chosen such an image is told of: kernel and initrd come out of it there', () => {
  const found = looked(1, [A, holder('node-b', noKernel)], ['node-a']);
  expect(found.status.copies?.[1]).toMatchObject({ server: 'node-b', surplus: true, lacksBootFiles: '5f0c11d2' });
});

test('where nothing is known to be right nobody has it all, and who was chosen has its times', () => {
  const found = looked(1, [holder('node-a', broken), holder('node-b', broken)], ['node-a'], unknown);
  expect(found.status.chosen).toEqual([{ name: 'node-a', since: '2026-11-30T00:00:00Z' }]);
  const moved = looked(1, [holder('node-a', lacking), holder('node-b', broken)], ['node-a'], unknown);
  expect(chosenOf(moved)).toEqual(['node-b']);
});

test('what comes out of such an image is said, also where its server was not chosen', () => {
  const holders = [holder('node-a', lacking), holder('node-b', noKernel)];
  const found = looked(1, holders, ['node-a'], unknown, { loadBalancing: { server: 'node-a' } });
  expect(chosenOf(found)).toEqual(['node-a']);
  const ready = found.status.conditions?.find(({ type }) => type === 'Ready');
  expect(ready).toMatchObject({
    reason: 'TakingBootFiles',
    message: expect.stringMatching(/server node-b takes kernel/),
  });
});
