import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readSources } from '../../test/check/arrows.ts';
import { FORMATS, formatOf, imageNames } from './formats.ts';

test.each([
  { later: false, names: ['lab.raw', 'lab.vhdx', 'lab.vhd'] },
  { later: true, names: ['lab.raw', 'lab.avhdx', 'lab.vhdx', 'lab.avhd', 'lab.vhd'] },
])('what an image may be called, in order; later: $later', ({ later, names }) => {
  expect(imageNames('lab', later)).toEqual(names);
  for (const name of names) expect(formatOf(name)).toBeDefined();
});

test.each(['lab', 'raw', 'lab.RAW', 'lab.raw.partial', 'lab.vhdx.partial', 'lab.vmlinuz', 'labvhd', 'lab.xvhd'])(
  '%s is no image',
  (name) => {
    expect(formatOf(name)).toBeUndefined();
  },
);

test.each([
  { bytes: 1_024, is: { ok: true, value: { sizeBytes: 1_024 } } },
  { bytes: 0, is: { ok: false, error: { code: 'SizeInvalid', message: expect.stringContaining('lab.raw is empty') } } },
  { bytes: 1_000, is: { ok: false, error: { code: 'SizeInvalid', message: expect.stringContaining('1000 bytes') } } },
])('a raw image of $bytes bytes', async ({ bytes, is }) => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-formats-'));
  const path = join(folder, 'lab.raw');
  writeFileSync(path, Buffer.alloc(bytes));
  expect(await formatOf('lab.raw')?.probe(path, bytes)).toEqual(is);
  rmSync(folder, { recursive: true });
});

test('no name leads to two formats', () => {
  const ends = FORMATS.flatMap(({ extension, differencing }) => [extension, differencing ?? []].flat());
  for (const end of ends) expect(ends.filter((other) => `lab${end}`.endsWith(other))).toEqual([end]);
});

test('the store alone asks the table, and the table alone the formats', () => {
  const askers = (of: RegExp) =>
    readSources(join(import.meta.dirname, '..'))
      .filter(({ imports }) => imports.some((specifier) => of.test(specifier)))
      .map(({ path }) => path);
  expect(askers(/image\/formats\.ts$/).every((path) => path.startsWith('store/'))).toBe(true);
  expect(askers(/\/(raw\/raw|vhd\/vhd|vhdx\/vhdx)\.ts$/)).toEqual(['image/formats.ts']);
});
