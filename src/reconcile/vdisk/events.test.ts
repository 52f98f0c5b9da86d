import { expect, test } from '@jest/globals';
import type { CopyState } from '../../farm/model.ts';
import { copyEvents, lastsMs, statesNow, statesTold } from './events.ts';

const copy = (server: string, state: CopyState, message = '') => ({ server, state, message, silentMs: 0 });
const version = (number: number, ...copies: readonly ReturnType<typeof copy>[]) => ({ number, copies });
const rack = (from: number, to: number, state: CopyState, message = '') =>
  Array.from({ length: to - from + 1 }, (_, at) => copy(`r${from + at}`, state, message));

test.each<{
  what: string;
  versions: Parameters<typeof copyEvents>[0];
  news: readonly string[];
  told: readonly string[];
}>([
  { what: 'nothing is news', versions: [version(1, copy('a', 'Missing'))], news: [], told: [] },
  {
    what: 'one lost its files',
    versions: [version(1, copy('a', 'Missing', 'put lab.raw there'), copy('b', 'Missing'))],
    news: ['1/a'],
    told: ['Warning CopyMissing version 1 on a: Missing: server a: put lab.raw there'],
  },
  {
    what: 'twenty servers are one Event a state',
    versions: [version(1, ...rack(1, 12, 'UpToDate'), ...rack(13, 20, 'OutOfDate', 'copy it'))],
    news: rack(1, 20, 'UpToDate').map(({ server }) => `1/${server}`),
    told: [
      'Warning CopyOutOfDate version 1 on r13, r14, r15, r16, r17 and 3 more: OutOfDate: server r13: copy it',
      'Normal CopyUpToDate version 1 on r1, r2, r3, r4, r5 and 7 more: UpToDate, as 12 of 20 are',
    ],
  },
  {
    what: 'what is bad comes first',
    versions: [
      version(1, copy('a', 'Copying')),
      version(2, copy('a', 'ServerUnreachable', 'server a does not answer')),
    ],
    news: ['1/a', '2/a'],
    told: [
      'Warning CopyServerUnreachable version 2 on a: ServerUnreachable: server a does not answer',
      'Normal CopyCopying version 1 on a: Copying',
    ],
  },
])('$what', ({ versions, news, told }) => {
  const said = copyEvents(versions, news).map(({ type, reason, note }) => `${type} ${reason} ${note}`);
  expect(said).toEqual(told);
});

test('what a status leaves out of a version that it tells of is right; of another one nothing was told', () => {
  const versions = [version(1, copy('a', 'Missing'), copy('b', 'UpToDate')), version(2, copy('a', 'UpToDate'))];
  const status = {
    copies: [{ server: 'b', version: 1, state: 'Corrupt' as const }],
    versions: [
      { number: 1, access: 'Production' as const, upToDate: 1, copies: 2 },
      { number: 2, access: 'Test' as const, upToDate: 0, copies: 0 },
    ],
  };
  expect([...statesTold(status, versions)]).toEqual([
    ['1/a', 'UpToDate'],
    ['1/b', 'Corrupt'],
  ]);
  expect([...statesTold({}, versions)]).toEqual([]);
  expect([...statesNow(versions)]).toEqual([
    ['1/a', 'Missing'],
    ['1/b', 'UpToDate'],
    ['2/a', 'UpToDate'],
  ]);
  expect((['Corrupt', 'Copying', 'ServerUnreachable'] as const).map(lastsMs)).toEqual([0, 10_000, 60_000]);
});
