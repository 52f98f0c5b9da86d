/** What qemu-img writes comes in as it was, and what names other files does not. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { importFile } from '../../src/store/import.ts';

const BYTES = 24 << 20;
const made = mkdtempSync(join(tmpdir(), 'bootfarm-foreign-'));
let folder: string;
const qemuImg = (...words: string[]): string => execFileSync('qemu-img', words, { cwd: made, encoding: 'utf8' });

beforeAll(() => {
  const disk = Buffer.alloc(BYTES);
  disk.fill('first', 0, 100_000).fill('last', BYTES - 70_000);
  writeFileSync(join(made, 'disk'), disk);
  for (const [file, ...options] of [
    ['lab.qcow2', '-O', 'qcow2'],
    ['packed.qcow2', '-O', 'qcow2', '-c'],
    ['sparse.vmdk', '-O', 'vmdk'],
    ['stream.vmdk', '-O', 'vmdk', '-o', 'subformat=streamOptimized'],
    ['lab.vdi', '-O', 'vdi'],
    ['flat.vmdk', '-O', 'vmdk', '-o', 'subformat=monolithicFlat'],
  ] as const)
    qemuImg('convert', '-f', 'raw', ...options, 'disk', file);
  qemuImg('create', '-q', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', 'shadow.qcow2', '1M');
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'data_file=outside.raw', 'outside.qcow2', '1M');
  qemuImg('create', '-q', '-f', 'vmdk', '-b', 'sparse.vmdk', '-F', 'vmdk', 'child.vmdk');
  for (const file of ['lab.qcow2', 'packed.qcow2', 'sparse.vmdk', 'stream.vmdk', 'lab.vdi']) {
    const bytes = readFileSync(join(made, file));
    writeFileSync(join(made, `cut.${file}`), bytes.subarray(0, bytes.length - 70_000));
  }
});
beforeEach(() => {
  folder = mkdtempSync(join(made, 'store-'));
});
afterAll(() => rmSync(made, { recursive: true }));

test.each([
  ['lab.qcow2', 'lab.vhdx'],
  ['packed.qcow2', 'lab.vhd'],
  ['sparse.vmdk', 'lab.raw'],
  ['stream.vmdk', 'lab.vhdx'],
  ['lab.vdi', 'lab.vhdx'],
])('%s comes in as %s', async (file, target) => {
  const progress: number[] = [];
  const onProgress = (done: number, total: number): void => void progress.push(done / total);
  const imported = await importFile(join(made, file), join(folder, target), { onProgress });
  expect(imported).toMatchObject({ ok: true, value: { diskBytes: BYTES } });
  const format = { raw: 'raw', vhd: 'vpc', vhdx: 'vhdx' }[target.split('.')[1] as 'raw' | 'vhd' | 'vhdx'];
  expect(qemuImg('compare', '-f', 'raw', '-F', format, 'disk', join(folder, target))).toContain('Images are identical');
  expect(readdirSync(folder)).toEqual([target]);
  expect(progress.at(-1)).toBe(1);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
});

test.each([
  ['shadow.qcow2', 'is a qcow2 image with a backing file'],
  ['outside.qcow2', 'is a qcow2 image with its data in another file'],
  ['flat.vmdk', 'holds the description of a VMDK image'],
  ['child.vmdk', 'is a difference of another VMDK'],
  ['disk', 'is no qcow2, VMDK or VDI image: raw, VHD and VHDX are taken as they are'],
  ['cut.lab.qcow2', 'cut.lab.qcow2: qemu-img cannot read it: '],
  ['cut.packed.qcow2', 'cut.packed.qcow2: qemu-img cannot read it: '],
  ['cut.sparse.vmdk', 'cut.sparse.vmdk: qemu-img cannot read it: '],
  ['cut.stream.vmdk', 'cut.stream.vmdk: qemu-img cannot read it: '],
  ['cut.lab.vdi', 'it was cut, bring it again'],
  ['none.qcow2', 'none.qcow2 does not exist'],
])('%s is refused, and nothing is left: %s', async (file, says) => {
  const imported = await importFile(join(made, file), join(folder, 'lab.vhdx'));
  expect(imported.ok ? '' : imported.error.message).toContain(says);
  expect(readdirSync(folder)).toEqual([]);
});

test('a name that is taken is refused before anything is done', async () => {
  writeFileSync(join(folder, 'lab.vhdx'), 'somebody has it');
  const told: number[] = [];
  const onProgress = (done: number): void => void told.push(done);
  const imported = await importFile(join(made, 'lab.qcow2'), join(folder, 'lab.vhdx'), { onProgress });
  expect([imported, told]).toMatchObject([{ error: { code: 'FileExists' } }, []]);
  expect(readFileSync(join(folder, 'lab.vhdx'), 'utf8')).toBe('somebody has it');
});

test('a disk that is larger than its store comes in where its data has room', async () => {
  qemuImg('create', '-q', '-f', 'qcow2', 'large.qcow2', '1T');
  expect(await importFile(join(made, 'large.qcow2'), join(folder, 'lab.vhdx'))).toMatchObject({
    value: { diskBytes: 2 ** 40 },
  });
});

test('one that is cancelled leaves nothing', async () => {
  const cancel = new AbortController();
  const onProgress = (): void => cancel.abort();
  const imported = await importFile(join(made, 'lab.qcow2'), join(folder, 'lab.vhdx'), {
    onProgress,
    signal: cancel.signal,
  });
  expect(imported).toMatchObject({ error: { code: 'Cancelled' } });
  expect(readdirSync(folder)).toEqual([]);
});
