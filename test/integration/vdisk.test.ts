/** `bootfarm vdisk info|map` beside `qemu-img`, on images that it made. Of a VHDX it maps nothing, so there what is said is compared with what it reads. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { vdiskCommand } from '../../src/commands/vdisk.ts';
import { fakeTerminal } from '../fakes/terminal.ts';

let folder: string;
const run = (command: string): string => execFileSync('sh', ['-ec', command], { cwd: folder, encoding: 'utf8' });
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-vdisk-'));
  const random = (offsetMib: number): string =>
    `dd if=/dev/urandom of=disk bs=1M seek=${offsetMib} count=1 conv=notrunc status=none; `;
  run(`truncate -s 19M disk; ${[3, 4, 9, 18].map(random).join('')}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function json(word: string, name: string) {
  const { said, terminal } = fakeTerminal();
  await vdiskCommand(terminal).parseAsync(['node', 'vdisk', word, '-o', 'json', join(folder, name)]);
  expect([said.err, said.status]).toEqual(['', 0]);
  return JSON.parse(said.out);
}

interface Image {
  readonly format: 'raw' | 'vpc' | 'vhdx';
  readonly options?: string;
  readonly subformat?: string;
}
const KINDS: readonly Image[] = [
  { format: 'raw' },
  { format: 'vpc', subformat: 'dynamic' },
  { format: 'vpc', subformat: 'fixed' },
  { format: 'vpc', subformat: 'dynamic', options: 'force_size=on' },
  { format: 'vpc', subformat: 'fixed', options: 'force_size=on' },
  { format: 'vhdx', subformat: 'dynamic' },
  { format: 'vhdx', subformat: 'fixed' },
  ...[1, 2, 64].map((mib): Image => ({ format: 'vhdx', subformat: 'dynamic', options: `block_size=${mib}M` })),
];

function made({ format, subformat, options }: Image): string {
  const name = { raw: 'lab.raw', vpc: 'lab.vhd', vhdx: 'lab.vhdx' }[format];
  const all = [subformat && `subformat=${subformat}`, options].filter(Boolean).join(',');
  run(`qemu-img convert -q -f raw -O ${format} ${all && `-o ${all}`} disk ${name}`);
  return name;
}

test.each(KINDS)('$format $subformat $options', async (image) => {
  const name = made(image);
  const judge = (word: string) => JSON.parse(run(`qemu-img ${word} --output=json -f ${image.format} ${name}`));
  const path = join(folder, name);

  const { images } = await json('info', name);
  const told = judge('info');
  expect(images).toMatchObject([
    {
      ...{ path, usedBytes: told['actual-size'], diskBytes: told['virtual-size'], odd: [] },
      ...(image.subformat ? { subformat: image.subformat } : {}),
      ...(told['cluster-size'] === undefined ? {} : { blockBytes: told['cluster-size'] }),
    },
  ]);
  expect(await json('check', name)).toMatchObject({ images: [{ leakedBytes: 0 }] });

  const entries: readonly Entry[] = await json('map', name);
  if (image.format !== 'vhdx') expect(entries.map(({ filename: _, ...entry }) => entry)).toEqual(judge('map'));
  expect(new Set(entries.flatMap(({ filename }) => filename ?? []))).toEqual(new Set([path]));
  run(`qemu-img convert -q -O raw -f ${image.format} ${name} judge`);
  expect(shownBy(entries, readFileSync(path)).equals(readFileSync(join(folder, 'judge')))).toBe(true);
});

interface Entry {
  readonly start: number;
  readonly length: number;
  readonly zero: boolean;
  readonly offset?: number;
  readonly filename?: string;
}

/** The disk, by where its map says that it lies. */
const shownBy = (entries: readonly Entry[], file: Buffer): Buffer =>
  Buffer.concat(
    entries.map(({ length, zero, offset = 0 }) =>
      zero ? Buffer.alloc(length) : file.subarray(offset, offset + length),
    ),
  );
