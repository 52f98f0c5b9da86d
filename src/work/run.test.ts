import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { claim, DEVICES_FILE, MARK, OWNER_FILE } from '../store/mark.ts';
import type { Order } from './job.ts';
import { runOrder } from './run.ts';

const LAB = { farm: 'lab', lineage: '0123456789abcdef' };
const OFFICE = { farm: 'office', lineage: 'fedcba9876543210' };
let state: string;
let folder: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'bootfarm-run-'));
  folder = join(state, 'store');
  for (const name of ['work', 'wants', 'store']) mkdirSync(join(state, name));
  writeFileSync(join(state, OWNER_FILE), JSON.stringify(LAB));
});
afterEach(() => rmSync(state, { recursive: true }));

const run = async (order: Order): Promise<string> => {
  const running = { signal: new AbortController().signal, onProgress: () => undefined, jobs: join(state, 'work') };
  const made = await runOrder(order, running);
  return made.ok ? 'done' : made.error.code;
};
const ORDERS: readonly (() => Order)[] = [
  () => ({ kind: 'merge', folder, fileName: 'lab', into: 'base' }),
  () => ({ kind: 'boot-files', folder, fileName: 'lab' }),
  () => ({ kind: 'give-back', folder, fileName: 'lab', server: 'a', volume: 'token 1' }),
  () => ({
    kind: 'fetch',
    url: 'ftp://lab/x',
    sha256: 'a'.repeat(64),
    target: join(folder, 'lab.raw'),
    asBase: true,
  }),
];

test.each(ORDERS)(
  'nothing is done in a folder of another farm, nor where the disk of a store is not mounted (%#)',
  async (order) => {
    expect(await run(order())).not.toMatch(/^Store/);
    await claim(folder, OFFICE);
    expect(await run(order())).toBe('StoreForeign');
    rmSync(join(folder, MARK));
    await claim(folder, LAB);
    expect(await run(order())).not.toMatch(/^Store/);
    // On the node's own disk, and of another one it is noted.
    writeFileSync(join(state, 'work', DEVICES_FILE), JSON.stringify({ [folder]: '0 other' }));
    expect(await run(order())).toBe('StoreVanished');
    expect(readdirSync(folder)).toEqual([MARK]);
  },
);

test('what a person has made where he says is his', async () => {
  await claim(folder, OFFICE);
  expect(await run({ kind: 'convert', source: join(folder, 'no.raw'), target: join(folder, 'lab.vhdx') })).toBe(
    'FileMissing',
  );
});
