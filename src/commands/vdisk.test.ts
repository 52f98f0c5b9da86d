import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { bytesOf, type Held, type Layer } from '../../test/builders/image.ts';
import { VHD_ID, vhdImage } from '../../test/builders/vhd.ts';
import { fakeTerminal, type Said } from '../../test/fakes/terminal.ts';
import { vdiskCommand } from './vdisk.ts';
import { addInfoCommands } from './vdisk-info.ts';

let folder: string;
const KIB = 1_024;
const half: Held = Array.from({ length: 128 }, (_, sector) => sector < 64);
const layer = (blocks: readonly [number, Held][]): Layer => ({
  sizeBytes: 256 * KIB,
  ...{ blockBytes: 64 * KIB, sectorBytes: 512, seed: 0, blocks: new Map(blocks) },
});
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-vdisk-'));
  const parent = { id: VHD_ID, name: 'lab.vhd' };
  const child = bytesOf(vhdImage(layer([[2, half]]), { id: 'c1'.repeat(16), creator: 'win ', parent }));
  const lab = bytesOf(vhdImage(layer([[1, 'whole']])));
  const images = {
    ...{
      'lab.vhd': lab,
      'lab.1.avhd': child,
      'alone.1.avhd': bytesOf(vhdImage(layer([]), { parent: { ...parent, name: 'gone.vhd' } })),
    },
    'leaking.vhd': Buffer.concat([lab.subarray(0, -512), Buffer.alloc(80 * KIB), lab.subarray(-512)]),
    'cut.vhd': lab.subarray(1_024),
    'disk.raw': Buffer.alloc(4_096, 1),
    ...{ 'two.raw': Buffer.alloc(4_096, 1), 'two.vhd': lab },
  };
  for (const [name, bytes] of Object.entries(images)) writeFileSync(join(folder, name), bytes);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function says(word: string, ...args: readonly string[]): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  const files = args.map((arg) => (arg.includes('.') ? join(folder, arg) : arg));
  await vdiskCommand(terminal).parseAsync(['node', 'vdisk', word, ...files]);
  return { ...said, out: said.out.replaceAll(`${folder}/`, ''), err: said.err.replaceAll(`${folder}/`, '') };
}

test('info: of each image of a chain', async () => {
  const { out, status } = await says('info', 'lab.1.avhd');
  expect(status).toBe(0);
  expect(out.replace(/disk size: .*\n/g, '')).toBe(`image: lab.1.avhd
file format: vhd, differencing
virtual size: 256 KiB (262144 bytes)
file size: 67.0 KiB (68608 bytes)
sector size: 512
block size: 65536
blocks: 1 of 4 are here, 1 in part
identifier: ${'c1'.repeat(16)}
creator: win 0.0
difference of: lab.vhd (${VHD_ID})

image: lab.vhd
file format: vhd, dynamic
virtual size: 256 KiB (262144 bytes)
file size: 67.0 KiB (68608 bytes)
sector size: 512
block size: 65536
blocks: 1 of 4 are here
identifier: ${VHD_ID}
creator: test 0.0
`);
});

test('info -o json: without its parent, too', async () => {
  const { out, err, status } = await says('info', '-o', 'json', 'alone.1.avhd');
  expect(JSON.parse(out)).toMatchObject({
    images: [{ path: 'alone.1.avhd', diskBytes: 262_144, parent: { names: ['gone.vhd'], ids: [VHD_ID] } }],
    missing: { code: 'FileMissing' },
  });
  expect([status, err]).toEqual([1, expect.stringContaining('error: alone.1.avhd is a difference of')]);
});

test.each([
  { name: 'lab.1.avhd', status: 0, says: 'lab.vhd: whole; of its blocks 1 of 4 are here' },
  { name: 'disk.raw', status: 0, says: 'disk.raw: whole\n' },
  { name: 'two.raw', status: 0, says: 'two.raw: servers take it, and not two.vhd beside it\n' },
  { name: 'two.vhd', status: 0, says: 'two.vhd: servers take two.raw beside it, and not this one\n' },
  { name: 'leaking.vhd', status: 3, says: '81920 bytes of the file are led to by nothing' },
  { name: 'cut.vhd', status: 1, says: 'error: cut.vhd' },
  { name: 'gone.vhd', status: 1, says: 'error: gone.vhd does not exist' },
  { name: 'lab.iso', status: 1, says: 'error: lab.iso' },
])('check of $name ends with $status', async ({ name, status, says: words }) => {
  const said = await says('check', name);
  expect([said.status, said.out + said.err]).toEqual([status, expect.stringContaining(words)]);
});

test('check of several: a fault is worse than a leak, and the others are checked all the same', async () => {
  const { out, status } = await says('check', 'cut.vhd', 'leaking.vhd', 'disk.raw');
  expect([status, out]).toEqual([1, expect.stringContaining('disk.raw: whole')]);
});

test.each(['info', 'check', 'map'])('%s -o json of several is one array, whatever is wrong with one', async (word) => {
  const { out, status } = await says(word, '-o', 'json', 'disk.raw', 'gone.vhd', 'lab.vhd');
  const [first, second, third] = JSON.parse(out);
  expect(second).toMatchObject({ path: 'gone.vhd', error: { code: 'FileMissing' } });
  expect([status, first, third]).toEqual([1, expect.anything(), expect.anything()]);
});

test.each([
  ['lab.vhd', { path: 'lab.vhd', whole: true }],
  ['leaking.vhd', { path: 'leaking.vhd', whole: true, images: [{ leakedBytes: 81_920 }] }],
  ['cut.vhd', { path: 'cut.vhd', whole: false, error: {} }],
])('check -o json of %s says whether it is whole', async (name, said) => {
  expect(JSON.parse((await says('check', '-o', 'json', name)).out)).toMatchObject(said);
});

test.each(['list', 'show'])('%s is a word of a desk, and said to be', async (word) => {
  expect(await says(word, 'lab', '--on', 'node-a')).toMatchObject({
    ...{ failed: true, err: expect.stringContaining(`vdisk ${word} is a word of the bootfarm of your desk`) },
  });
});

test('map: what is large goes out as it comes, and no faster than it is taken', async () => {
  const blocks: Held = Array.from({ length: 128 }, (_, sector) => sector % 2 === 0);
  const all = [0, 1, 2, 3, 4, 5, 6, 7].map((block): [number, Held] => [block, blocks]);
  const many = { ...layer(all), sizeBytes: 512 * KIB };
  const parent = { id: VHD_ID, name: 'lab.vhd' };
  writeFileSync(join(folder, 'many.1.avhd'), bytesOf(vhdImage(many, { id: 'c2'.repeat(16), creator: 'win ', parent })));
  const held: string[] = [];
  const { terminal } = fakeTerminal();
  const command = new Command('vdisk');
  const out = new Writable({
    highWaterMark: 1,
    write: (bytes, _encoding, done) => {
      held.push(String(bytes));
      setImmediate(done);
    },
  });
  addInfoCommands(command, terminal, out);
  await command.parseAsync(['map', '-o', 'json', join(folder, 'many.1.avhd')], { from: 'user' });
  expect(JSON.parse(held.join('')).length).toBeGreaterThan(900);
  expect(Math.max(...held.map(({ length }) => length))).toBeLessThan(70_000);
  expect(held.length).toBeGreaterThan(1);
});

test('map: as qemu-img prints it', async () => {
  expect((await says('map', 'lab.1.avhd')).out).toBe(
    [
      'Offset          Length          Mapped to       File\n',
      '0x10000         0x10000         0xa00           lab.vhd\n',
      '0x20000         0x8000          0xa00           lab.1.avhd\n',
    ].join(''),
  );
  expect((await says('map', '-o', 'json', 'disk.raw')).out).toBe(
    '[{"start":0,"length":4096,"depth":0,"present":true,"zero":false,"data":true,"offset":0,"filename":"disk.raw"}]\n',
  );
});
