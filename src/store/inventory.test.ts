import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { lookInto } from './inventory.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-inventory-'));
  writeFileSync(join(folder, 'lab.raw'), Buffer.alloc(512));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As on a node that gives this process no processor. */
function stop(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('a server that stood still for longer than the time-out has no store that hangs', async () => {
  const looked = lookInto(folder, 20);
  for (let again = 0; again < 4; again++) {
    stop(40);
    await new Promise(setImmediate);
  }
  expect(await looked).toMatchObject({ state: 'Accessible', files: [{ name: 'lab.raw', sizeBytes: 512 }] });
});

test('a folder that is not there is said to be missing', async () => {
  expect(await lookInto(join(folder, 'gone'), 1_000)).toMatchObject({ state: 'Missing', files: [] });
});
