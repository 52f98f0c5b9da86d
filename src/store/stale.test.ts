import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { identityOf } from '../image/identity.ts';
import { mayGo, parseStale, putAside, removeStale, staleName } from './stale.ts';

const NOW = Date.parse('2026-11-30T01:02:03.456Z');
const HOUR = 3_600_000;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-stale-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const put = (name: string, text = name): string => {
  writeFileSync(join(folder, name), text);
  return identityOf(statSync(join(folder, name), { bigint: true }));
};

test('its name has what it was, and when', () => {
  expect(staleName('lab.1.vhdx', NOW)).toBe('lab.1.vhdx.2026-11-30T01-02-03Z.stale');
  expect(parseStale(staleName('lab.1.vhdx', NOW))).toEqual({ name: 'lab.1.vhdx', atMs: NOW - 456 });
});

test.each([
  'lab.vhdx.stale',
  'lab.vhdx',
  'notes.txt.2026-11-30T01-02-03Z.stale',
  'lab.vhdx.2026-13-30T01-02-03Z.stale',
])('%s is none of ours', (name) => expect(parseStale(name)).toBeUndefined());

test('what was seen to be wrong gives its name', async () => {
  const identity = put('lab.raw', 'wrong');
  expect(await putAside(folder, 'lab.raw', identity, NOW)).toEqual({ ok: true, value: staleName('lab.raw', NOW) });
  expect(readdirSync(folder)).toEqual([staleName('lab.raw', NOW)]);
  expect(readFileSync(join(folder, staleName('lab.raw', NOW)), 'utf8')).toBe('wrong');
});

test.each<{ what: string; make: () => void; code: string }>([
  { what: 'another file by now', make: () => put('lab.raw', 'a person put it here'), code: 'FileChanged' },
  { what: 'a folder', make: () => mkdirSync(join(folder, 'lab.raw')), code: 'NotRegular' },
  { what: 'a link to nowhere', make: () => symlinkSync('/nowhere', join(folder, 'lab.raw')), code: 'FileChanged' },
])('$what stays', async ({ make, code }) => {
  const identity = put('lab.raw', 'wrong');
  rmSync(join(folder, 'lab.raw'));
  make();
  expect(await putAside(folder, 'lab.raw', identity, NOW)).toMatchObject({ ok: false, error: { code } });
  expect(readdirSync(folder)).toEqual(['lab.raw']);
});

test('a name that nobody has is free; one that was put aside in the same second is kept', async () => {
  const identity = put('lab.raw');
  put(staleName('lab.raw', NOW), 'the first');
  expect(await putAside(folder, 'lab.raw', identity, NOW)).toMatchObject({ ok: false, error: { code: 'FileExists' } });
  expect(readFileSync(join(folder, staleName('lab.raw', NOW)), 'utf8')).toBe('the first');
  rmSync(join(folder, 'lab.raw'));
  expect(await putAside(folder, 'lab.raw', identity, NOW)).toEqual({ ok: true, value: undefined });
});

const old = staleName('lab.raw', NOW - 2 * HOUR);
const older = staleName('lab.raw', NOW - 3 * HOUR);
const young = staleName('lab.raw', NOW - HOUR / 2);
test.each<{ what: string; files: readonly string[]; whole?: boolean; go: readonly string[] }>([
  { what: 'the old ones, the oldest first', files: ['lab.raw', young, old, older], go: [older, old] },
  { what: 'none whose right one is not there', files: [old], go: [] },
  { what: 'none whose right one is not whole', files: ['lab.raw', old], whole: false, go: [] },
  { what: 'none of other names', files: ['lab.raw', 'lab.raw.stale', 'a.2026-01-01T00-00-00Z.stale'], go: [] },
  { what: 'none of a clock that is ahead', files: ['lab.raw', staleName('lab.raw', NOW + HOUR)], go: [] },
])('$what may go', ({ files, whole = true, go }) => expect(mayGo(files, () => whole, NOW - HOUR)).toEqual(go));

test('a full store gives one, the oldest; else those that are old go', async () => {
  for (const name of ['lab.raw', old, older, young]) put(name);
  const wants = { folder, whole: ['lab.raw'], keepStaleSeconds: 1 };
  expect(await removeStale(wants, true, NOW)).toEqual([older]);
  expect(await removeStale(wants, false, NOW)).toEqual([old]);
  expect(await removeStale({ ...wants, whole: [] }, true, NOW)).toEqual([]);
  expect(existsSync(join(folder, young))).toBe(true);
});
