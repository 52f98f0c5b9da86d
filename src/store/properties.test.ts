import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { aPvp } from '../../test/builders/pvs.ts';
import { lookInto } from './inventory.ts';
import type { SeenProperties } from './properties.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-properties-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const seen = new Map<string, SeenProperties>();
async function look() {
  const { files } = await lookInto(folder, { seen, roots: [folder] });
  return files.find(({ name }) => name === 'lab.pvp');
}
const put = (bytes: Buffer): void => {
  writeFileSync(join(folder, 'new'), bytes);
  renameSync(join(folder, 'new'), join(folder, 'lab.pvp'));
};

test('a look reads properties once, and again when they changed', async () => {
  expect(await look()).toBeUndefined();
  put(aPvp({ version: 7 }));
  utimesSync(join(folder, 'lab.pvp'), 1, 1);
  const first = await look();
  expect(first).toMatchObject({
    properties: { name: 'lab.pvp', changes: 7, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
  });
  expect(first).not.toHaveProperty('image');
  expect(first).not.toHaveProperty('fresh');
  expect((await look())?.properties).toBe(first?.properties);
  put(aPvp({ version: 8 }));
  const second = await look();
  expect(second).toMatchObject({ fresh: true, properties: { changes: 8 } });
  expect(second?.properties?.sha256).not.toBe(first?.properties?.sha256);
});

test.each<{ what: string; make: (path: string) => void; is: object }>([
  { what: 'of another size', make: (path) => writeFileSync(path, 'properties'), is: { properties: { sha256: /^7/ } } },
  {
    what: 'without an end',
    make: (path) => {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 40);
    },
    is: { properties: { message: 'it has 1099511627776 bytes, and a .pvp 528896' } },
  },
  { what: 'that are a folder', make: (path) => mkdirSync(path), is: { fault: { code: 'NotRegular' } } },
  { what: 'that lead out', make: (path) => symlinkSync('/etc/shadow', path), is: { fault: { code: 'LinkOutside' } } },
])('properties $what are no fault of others', async ({ make, is }) => {
  make(join(folder, 'lab.pvp'));
  const file = await look();
  if ('properties' in is && 'sha256' in (is.properties as object)) {
    expect(file?.properties).toEqual({ name: 'lab.pvp', sha256: expect.any(String) });
  } else expect(file).toMatchObject(is);
});
