import { afterEach, expect, jest, test } from '@jest/globals';
import { aSession } from '../../test/builders/rows.ts';
import { FakeJournalFile } from '../../test/fakes/journalfile.ts';
import type { Database } from '../database/connection.ts';
import { fail, ok } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { openJournalOn } from './journal.ts';
import { decodeJournal } from './journalformat.ts';
import { sessionWriter } from './sessions.ts';

afterEach(() => {
  jest.useRealTimers();
});

const written = ok(new Map());
const away = fail('Unreachable', 'the database is away');

test.each([
  { what: 'to the database', reachable: true },
  { what: 'to the journal', reachable: false },
])('a device that flutters for ten seconds costs ten rows $what, and its last state wins', async ({ reachable }) => {
  jest.useFakeTimers({ now: 0 });
  let statements = 0;
  const database = {
    state: { reachable, since: 0 },
    onState: () => () => {},
    run: async () => {
      statements++;
      return reachable ? written : away;
    },
  } as unknown as Database;
  const file = new FakeJournalFile();
  const journal = await openJournalOn(file);
  const sessions = sessionWriter({ database, journal, server: 'node-a', current: () => [], log: silentLogger });
  await jest.advanceTimersByTimeAsync(10);
  statements = 0;
  const kept: Promise<unknown>[] = [];
  let epoch = 0;
  for (let at = 0; at < 10_000; at += 10) {
    kept.push(sessions.write(aSession({ epoch: ++epoch })));
    if (at < 9_990) kept.push(sessions.end('pc0001', epoch));
    await jest.advanceTimersByTimeAsync(10);
  }
  if (reachable) expect(statements).toBeLessThanOrEqual(11);
  else expect(decodeJournal(file.durable).last).toBeLessThanOrEqual(11);
  await sessions.close();
  await Promise.all(kept);
  if (!reachable) expect(journal.first(9).map(({ change }) => change)).toMatchObject([{ epoch, ended: false }]);
  expect(sessions.journalEntries).toBe(reachable ? 0 : 1);
});

test('a bug in a statement costs what was written by it, and neither the process nor what comes after', async () => {
  let calls = 0;
  const database = {
    state: { reachable: true, since: 0 },
    onState: () => () => {},
    run: async () => {
      if (++calls === 1) throw new TypeError('a bug');
      return written;
    },
  } as unknown as Database;
  const journal = await openJournalOn(new FakeJournalFile());
  const options = { database, journal, server: 'node-a', current: () => [], log: silentLogger, rowEveryMs: 0 };
  const sessions = sessionWriter(options);
  expect(await sessions.write(aSession({ epoch: 1 }))).toBe('Lost');
  expect(await sessions.write(aSession({ epoch: 2 }))).toBe('Database');
  await sessions.close();
});

test('all that is served is told again each minute and when the database is back, behind what waits in the journal', async () => {
  jest.useFakeTimers({ now: 0 });
  let statements = 0;
  let tell: (state: Database['state']) => void = () => {};
  const database = {
    state: { reachable: true, since: 0 },
    onState: (listener: typeof tell) => {
      tell = listener;
      return () => {};
    },
    run: async () => {
      statements++;
      return written;
    },
  } as unknown as Database;
  const journal = await openJournalOn(new FakeJournalFile());
  const asked = jest.fn(() => [aSession()]);
  const sessions = sessionWriter({ database, journal, server: 'node-a', current: asked, log: silentLogger });
  await jest.advanceTimersByTimeAsync(1_000);
  expect([asked.mock.calls.length, statements]).toEqual([1, 2]);
  await jest.advanceTimersByTimeAsync(60_000);
  expect([asked.mock.calls.length, statements]).toEqual([2, 4]);
  await journal.append([{ device: 'pc0002', epoch: 1, ended: true }]);
  tell({ reachable: true, since: 0 });
  await jest.advanceTimersByTimeAsync(1_000);
  expect([asked.mock.calls.length, statements, journal.size]).toEqual([3, 7, 0]);
  await sessions.close();
});
