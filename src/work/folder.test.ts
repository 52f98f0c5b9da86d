import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { JobFolder } from './folder.ts';
import type { Order } from './job.ts';

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'bootfarm-jobs-'));
});
afterEach(() => rmSync(path, { recursive: true }));

test('folders with the names of its files are none of its files', async () => {
  const folder = new JobFolder(path);
  await folder.order({ kind: 'boot-files', folder: '/srv', fileName: 'lab', version: 0 }, 0);
  for (const name of ['0badf00d.json', '0badf00d.cancel']) mkdirSync(join(path, name));
  expect([(await folder.readAll()).length, await folder.list()]).toMatchObject([1, { cancels: [] }]);
});

const fetch = { kind: 'fetch', sha256: 'a'.repeat(64), target: '/srv/lab.raw' } as const;
const exported = { kind: 'export', folder: '/srv', fileName: 'lab', to: '/srv/out' } as const;
const stated = (count: number) =>
  Array.from({ length: count }, (_, number) => ({ number, access: 'Test' as const, description: 'x'.repeat(1_024) }));

test.each<{ what: string; order: Order; isTaken: boolean }>([
  { what: 'of a signed address', order: { ...fetch, url: `https://a/lab?${'s'.repeat(4_000)}` }, isTaken: true },
  { what: 'of an address without an end', order: { ...fetch, url: `https://a/${'s'.repeat(20_000)}` }, isTaken: false },
  { what: 'of no vDisk', order: { kind: 'merge', folder: '/', fileName: '', into: 'base' }, isTaken: false },
  { what: 'of a folder without an end', order: { ...exported, folder: `/${'x/'.repeat(3_000)}` }, isTaken: false },
  { what: 'with what is said of 100 versions', order: { ...exported, stated: stated(100) }, isTaken: true },
  { what: 'with what is said of 1,000 versions', order: { ...exported, stated: stated(1_000) }, isTaken: false },
])('an order $what is read again, or refused and leaves nothing: $isTaken', async ({ order, isTaken }) => {
  const folder = new JobFolder(path);
  const ordered = await folder.order(order, 0);
  if (isTaken) expect(ordered).toMatchObject({ ok: true, value: { order } });
  else expect(ordered).toMatchObject({ ok: false, error: { code: 'OrderInvalid' } });
  expect((await folder.readAll()).map((job) => job.order)).toEqual(isTaken ? [order] : []);
  expect((await folder.list()).jobs).toHaveLength(isTaken ? 1 : 0);
});
