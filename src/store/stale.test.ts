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
import { agedBy, mayGo, parseAges, parseStale, putAside, removeStale, staleName } from './stale.ts';

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
  { what: 'the old ones, first what was put aside first', files: ['lab.raw', young, old, older], go: [older, old] },
  { what: 'none whose right one is not there', files: [old], go: [] },
  { what: 'none whose right one is not whole', files: ['lab.raw', old], whole: false, go: [] },
  { what: 'none of other names', files: ['lab.raw', 'lab.raw.stale', 'a.2026-01-01T00-00-00Z.stale'], go: [] },
])('$what may go', ({ files, whole = true, go }) =>
  expect(
    mayGo(
      files,
      () => whole,
      (file) => file !== young,
    ),
  ).toEqual(go),
);

test('one is as old as it was seen to lie there, whatever the clock said when it came; one that is new is 0', () => {
  const ahead = staleName('lab.raw', NOW + 100_000 * HOUR);
  const ages = agedBy('/srv', ['lab.raw', ahead, old], { [`/srv/${ahead}`]: HOUR, '/srv/gone': 5 }, HOUR);
  expect(ages).toEqual({ [`/srv/${ahead}`]: 2 * HOUR, [`/srv/${old}`]: 0 });
  expect(agedBy('/srv', [old], ages, -HOUR)).toEqual({ [`/srv/${old}`]: 0 });
});

test.each(['', '{', '[]', '{"a":-1}', '{"a":"b"}'])('%j is no list of ages', (text) =>
  expect(parseAges(text)).toEqual({}),
);

test('a full store gives one, what was put aside first; else those go that lay there long enough', async () => {
  for (const name of ['lab.raw', old, older, young]) put(name);
  const wants = { folder, whole: ['lab.raw'], keepStaleSeconds: 1 };
  const first = await removeStale(wants, true, {}, 0);
  expect(first.removed).toEqual([older]);
  const ages = { ...first.ages, [join(folder, young)]: -HOUR / 2 };
  expect((await removeStale(wants, false, ages, HOUR - 1)).removed).toEqual([]);
  expect((await removeStale(wants, false, ages, HOUR)).removed).toEqual([old]);
  expect((await removeStale({ ...wants, whole: [] }, true, {}, 0)).removed).toEqual([]);
  expect(existsSync(join(folder, young))).toBe(true);
});
