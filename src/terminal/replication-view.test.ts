import { describe, expect, test } from '@jest/globals';
import { aVersion } from '../../test/builders/farm.ts';
import type { Copy } from '../farm/model.ts';
import { inShort } from '../kit/units.ts';
import { areRight, tableText, versionCopies, versionsJson, whatIsWrong, wideText } from './replication-view.ts';

const NOW = 1_800_000_000;
const copy = (vdisk: string, version: number, server: string, more: Partial<Copy> = {}): Copy => ({
  ...{ vdisk, version, server, state: 'UpToDate', message: '', since: NOW - 7_200, reportedAt: NOW - 30 },
  ...more,
});
const named = (...versions: readonly (readonly [vdisk: string, number: number])[]) => ({
  versions: versions.map(([vdisk, number]) => aVersion({ vdisk, number })),
});
const versions = versionCopies(named(['win', 0], ['lab', 10], ['lab', 9]), [
  copy('lab', 9, 'node-10'),
  copy('lab', 9, 'node-9', {
    state: 'Copying',
    progressPercent: 40,
    secondsLeft: 150,
    message: 'server node-9: copies it',
  }),
  copy('lab', 10, 'node-9', { state: 'Missing', message: 'lab.10.avhdx is not in /srv', since: NOW - 90 }),
  copy('lab', 10, 'node-10', { state: 'Copying', progressPercent: 90, secondsLeft: 20 }),
  copy('lab', 7, 'node-10', { state: 'Corrupt' }),
]);

test.each([
  [0, '0s'],
  [59.9, '59s'],
  [60, '1m'],
  [7_199, '1h'],
  [172_800, '2d'],
])('%d seconds are %s', (seconds, text) => expect(inShort(seconds)).toBe(text));

test('a row a version, a column a server, in the order of their numbers; a version that no VDisk names is none', () => {
  expect(tableText(versions, NOW).split('\n')).toEqual([
    'VERSION   node-9            node-10',
    'lab/9     Copying 40 % 2m   UpToDate',
    'lab/10    Missing           Copying 90 %',
    'win/0     -                 -',
    '',
  ]);
});

test.each([
  [40, 1],
  [39, 2],
  [1, 2],
])('in %d columns there are %d tables, each with the names of the versions', (columns, tables) => {
  const blocks = tableText(versions, NOW, columns).split('\n\n');
  expect(blocks).toHaveLength(tables);
  for (const block of blocks) expect(block).toMatch(/^VERSION .*\nlab\/9 .*\nlab\/10 .*\nwin\/0 /);
});

test('twenty servers fit into 80 columns', () => {
  const many = versionCopies(
    named(['lab', 1]),
    Array.from({ length: 20 }, (_, at) =>
      copy('lab', 1, `rack-${at}`, { state: 'Copying', progressPercent: 30, secondsLeft: 500 }),
    ),
  );
  const lines = tableText(many, NOW, 80).split('\n');
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
  expect(lines.join(' ').match(/rack-\d+/g)).toHaveLength(20);
});

describe('what is wrong', () => {
  test('is said with its message and since when; what nobody recorded, too', () => {
    expect(whatIsWrong(versions, NOW)).toEqual([
      'win/0: nothing is recorded of it yet',
      'lab/9 on node-9: Copying for 2h: copies it',
      'lab/10 on node-9: Missing for 1m: lab.10.avhdx is not in /srv',
      'lab/10 on node-10: Copying for 2h',
    ]);
  });

  test('is said once of all versions of a server that does not answer', () => {
    const away = { state: 'ServerUnreachable', message: 'server node-a does not answer' } as const;
    const all = versionCopies(
      named(...[1, 2, 3, 4, 5, 6, 7].map((number) => ['lab', number] as const)),
      [1, 2, 3, 4, 5, 6, 7].map((number) => copy('lab', number, 'node-a', { ...away, since: NOW - 10 * number })),
    );
    expect(whatIsWrong(all, NOW)).toEqual([
      'lab/1, lab/2, lab/3, lab/4, lab/5 and 2 more on node-a: ServerUnreachable for 1m: server node-a does not answer',
    ]);
  });

  test.each([
    { what: 'UpToDate everywhere', of: [copy('lab', 1, 'a')], right: true },
    { what: 'not UpToDate on one', of: [copy('lab', 1, 'a'), copy('lab', 1, 'b', { state: 'Copying' })], right: false },
    { what: 'of other properties on one', of: [copy('lab', 1, 'a', { state: 'PropertiesMissing' })], right: false },
    { what: 'nowhere recorded', of: [], right: false },
  ])('a version $what is right: $right', ({ of, right }) => {
    expect(areRight(versionCopies(named(['lab', 1]), of))).toBe(right);
  });
});

test('wide has a line a copy, with when it was read and its manifest', () => {
  const manifest = 'a'.repeat(64);
  const read = { verifiedAt: NOW - 86_400, manifest };
  const wide = versionCopies(named(['lab', 1]), [copy('lab', 1, 'a', read), copy('lab', 1, 'b', { state: 'Missing' })]);
  expect(wideText(wide, NOW).split('\n')).toEqual([
    'VERSION   SERVER   STATE      FOR   VERIFIED   MANIFEST',
    `lab/1     a        UpToDate   2h    1d         ${manifest}`,
    'lab/1     b        Missing    2h    -          -',
    '',
  ]);
});

test('a program gets each version with its copies, and times as RFC 3339', () => {
  expect(
    versionsJson(versionCopies(named(['lab', 1]), [copy('lab', 1, 'a', { verifiedAt: NOW - 60 })], 'lab')),
  ).toEqual([
    {
      ...{ vdisk: 'lab', version: 1, upToDate: 1 },
      copies: [
        {
          ...{ server: 'a', state: 'UpToDate', message: '', since: '2027-01-15T06:00:00Z' },
          ...{ reportedAt: '2027-01-15T07:59:30Z', verifiedAt: '2027-01-15T07:59:00Z' },
        },
      ],
    },
  ]);
});
