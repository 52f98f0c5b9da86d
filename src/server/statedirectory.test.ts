import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openStateDirectory } from './statedirectory.ts';

const root = mkdtempSync(join(tmpdir(), 'bootfarm-state-'));
afterAll(() => rmSync(root, { recursive: true }));
const [OURS, THEIRS] = ['00112233aabbccdd', 'ffeeddcc00112233'];

test('a new folder is made and marked, and is this farm’s from then on', () => {
  const path = join(root, 'lab', `main.${OURS}`);
  expect([openStateDirectory(path, OURS), openStateDirectory(path, OURS)].map(({ ok }) => ok)).toEqual([true, true]);
  expect([readdirSync(path), readFileSync(join(path, 'lineage'), 'utf8')]).toEqual([
    ['chunks', 'lineage', 'wants'],
    `${OURS}\n`,
  ]);
});

test('a folder of another farm is refused by name, and stays as it is', () => {
  const path = join(root, 'moved');
  openStateDirectory(path, THEIRS);
  writeFileSync(join(path, 'journal'), 'theirs');
  const opened = openStateDirectory(path, OURS);
  expect(opened).toMatchObject({ ok: false, error: { code: 'StateForeign' } });
  expect(opened.ok || opened.error.message).toContain(`${path} was kept by servers of a farm with lineage ${THEIRS}`);
  expect(readFileSync(join(path, 'lineage'), 'utf8')).toBe(`${THEIRS}\n`);
});

test('a mark that a full disk left empty is written again', () => {
  const path = join(root, 'torn');
  openStateDirectory(path, OURS);
  writeFileSync(join(path, 'lineage'), '');
  expect(openStateDirectory(path, OURS).ok).toBe(true);
  expect(readFileSync(join(path, 'lineage'), 'utf8')).toBe(`${OURS}\n`);
});

test('a folder that cannot be made is a fault that names it', () => {
  const path = join(root, 'file');
  writeFileSync(path, '');
  expect(openStateDirectory(path, OURS)).toMatchObject({ ok: false, error: { code: 'StateUnusable' } });
});
