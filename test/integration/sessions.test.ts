/** Who streams what, in a real database: through its loss, a full disk, a database that was emptied, and clocks that lie. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sql } from 'kysely';
import { connect, type Database } from '../../src/database/connection.ts';
import { migrate } from '../../src/database/migrate.ts';
import { endSession, sessions as listSessions, upsertSession } from '../../src/database/servers.ts';
import type { Session } from '../../src/farm/model.ts';
import { fail } from '../../src/kit/result.ts';
import { type Journal, openJournal, openJournalOn } from '../../src/replica/journal.ts';
import { type SessionWriter, sessionWriter } from '../../src/replica/sessions.ts';
import { SessionRows } from '../../src/server/sessions.ts';
import type { SessionEvent } from '../../src/stream/shard.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aSession } from '../builders/rows.ts';
import { must } from '../fakes/farm.ts';
import { FakeJournalFile } from '../fakes/journalfile.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';
import { until } from '../setup/time.ts';

let postgres: PostgresServer;
let database: Database;
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-sessions-'));
const path = join(folder, 'journal');
beforeAll(async () => {
  postgres = await startPostgres();
  must(await migrate(postgres.uri));
  database = must(connect({ uri: postgres.uri }));
});
afterAll(async () => {
  await database.close();
  await postgres.close();
  rmSync(folder, { recursive: true });
});

const stored = async () => must(await listSessions(database));
const run = (text: string) => database.run((db) => sql.raw(text).execute(db)).then(must);

interface Started {
  readonly sessions: SessionWriter;
  readonly journal: Journal;
  close(): Promise<void>;
}

async function writer(current: () => readonly Session[] = () => [], at = path): Promise<Started> {
  const journal = await openJournal(at);
  const options = { database, journal, server: 'node-a', current, log: silentLogger, rowEveryMs: 0 };
  const sessions = sessionWriter(options);
  return {
    sessions,
    journal,
    async close() {
      await sessions.close();
      await journal.close();
    },
  };
}

test('written to the database while it is there', async () => {
  const burst = Array.from({ length: 1_200 }, (_, n) => aSession({ device: `b${n}`, epoch: 1 }));
  const { sessions, close } = await writer(() => burst); // all is told once at the start: what is not served would end
  const kept = await Promise.all(burst.map((session) => sessions.write(session)));
  expect(new Set(kept)).toEqual(new Set(['Database']));
  expect(await stored()).toHaveLength(1_200);
  await Promise.all(burst.map(({ device }) => sessions.end(device, 1)));
  expect(await stored()).toEqual([]);
  await close();
});

test('kept on disk while it is away, one entry a device, through a crash of the server, and written once when it returns', async () => {
  const first = await writer();
  await postgres.kill();
  await until('it is seen', () => !database.state.reachable);
  expect(await first.sessions.write(aSession({ device: 'a', epoch: 1 }))).toBe('Journal');
  const more = [2, 3].map((epoch) => first.sessions.write(aSession({ device: 'a', epoch })));
  const gone = first.sessions.write(aSession({ device: 'gone', epoch: 5 }));
  expect(await Promise.all([...more, gone])).toEqual(['Journal', 'Journal', 'Journal']);
  expect(await first.sessions.end('gone', 5)).toBe('Journal');
  expect(first.sessions.journalEntries).toBe(2);
  const copy = readFileSync(path);
  await first.close();

  const second = await writer(() => [aSession({ device: 'a', epoch: 3 })]);
  expect(second.sessions.journalEntries).toBe(2);
  await postgres.start();
  await until('replayed', () => second.sessions.journalEntries === 0);
  expect(await stored()).toEqual([aSession({ device: 'a', epoch: 3 })]);
  must(await endSession(database, 'a', 3));
  await second.close();

  // the same journal once more, as after a crash between the commit and the shortening of the file
  writeFileSync(path, copy);
  await run('delete from session');
  const third = await writer();
  await until('replayed', () => third.sessions.journalEntries === 0);
  expect(await stored()).toEqual([]);
  await third.close();
});

test('nothing overtakes the journal, and what stands in the way of its replay only delays it', async () => {
  await run('alter table journal_entry rename to hidden');
  const before = await openJournal(path);
  const session = aSession({ device: 'short', epoch: 5 });
  must(await before.append([{ device: 'short', epoch: 5, session, ended: false }]));
  await before.close();
  const { sessions, close } = await writer();
  expect(await sessions.end('short', 5)).toBe('Journal');
  await run('alter table hidden rename to journal_entry');
  await until('replayed', () => sessions.journalEntries === 0);
  expect(await stored()).toEqual([]);
  await close();
});

test('what was journaled for another farm is not written into this one', async () => {
  const farm = randomUUID();
  await run(`insert into farm (id, doc) values ('${farm}', '{}')`);
  const before = await openJournal(path);
  const change = (device: string) => ({ device, epoch: 5, session: aSession({ device, epoch: 5 }), ended: false });
  must(await before.append([change('theirs')], randomUUID()));
  must(await before.append([change('ours')], farm));
  await before.close();
  const { sessions, close } = await writer(() => [aSession({ device: 'ours', epoch: 5 })]);
  await until('replayed', () => sessions.journalEntries === 0);
  expect((await stored()).map(({ device }) => device)).toEqual(['ours']);
  expect((await run('select device from session')).rows).not.toContainEqual({ device: 'theirs' });
  await close();
  await run('delete from session; delete from farm');
});

test('neither the database nor the disk: lost, said, and nothing thrown', async () => {
  const broken = must(connect({ uri: 'postgresql://nobody@127.0.0.1:1/none' }));
  const file = new FakeJournalFile();
  const journal = await openJournalOn(file);
  file.faults = [{ call: 'append', code: 'ENOSPC' }];
  const options = { database: broken, journal, server: 'node-a', current: () => [], log: silentLogger };
  const sessions = sessionWriter(options);
  expect(await sessions.write(aSession())).toBe('Lost');
  expect(sessions.fault).toMatchObject({ code: 'JournalUnusable', message: expect.stringContaining('ENOSPC') });
  await sessions.close();
  await broken.close();
});

test('what an earlier process left ends; of an emptied database all is told again, and unchanged rows write nothing', async () => {
  must(await upsertSession(database, aSession({ device: 'former' })));
  must(await upsertSession(database, aSession({ device: 'other', server: 'node-b' })));
  const current = ['a', 'b', 'c'].map((device) => aSession({ device, epoch: 9 }));
  const { sessions, close } = await writer(() => current);
  await Promise.all(current.map((session) => sessions.write(session)));
  const servers = async () => (await stored()).map(({ device, server }) => `${device} ${server}`);
  await until('the former ended', async () => (await servers()).length === 4);
  expect(await servers()).toEqual(['a node-a', 'b node-a', 'c node-a', 'other node-b']);

  await run('truncate session');
  sessions.tellAll();
  await until('all are there again', async () => (await servers()).length === 3);
  expect(await stored()).toEqual(current);
  await run('delete from dirty');
  sessions.tellAll();
  expect(await sessions.write(aSession({ device: 'witness', epoch: 9 }))).toBe('Database');
  sessions.tellAll();
  await until('the witness, of whom nobody says that it streams, ended', async () => (await servers()).length === 3);
  expect(await run('select distinct key from dirty')).toMatchObject({ rows: [{ key: 'witness' }] });
  await run('delete from session');
  await close();
});

/** A server with a clock of its own, on the one database, which it may lose alone. */
class Peer {
  readonly name: string;
  readonly rows: SessionRows;
  readonly writer: SessionWriter;
  readonly database: Database & { away: boolean };
  readonly #skewMs: number;
  #number = 0;
  #serving: SessionEvent | undefined;

  constructor(name: string, journal: Journal, skewMs: number) {
    this.name = name;
    this.#skewMs = skewMs;
    const real = database;
    const listeners = new Set<(state: Database['state']) => void>();
    const away = { code: 'Unreachable', message: 'away' } as const;
    this.database = {
      away: false,
      get state() {
        return this.away ? ({ reachable: false, since: 0, fault: away } as const) : real.state;
      },
      onState(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      async run(work) {
        return this.away ? fail('Unreachable', 'away') : real.run(work);
      },
      async close() {},
    };
    const current = (): readonly Session[] => this.rows.current();
    const options = { database: this.database, journal, server: name, current, log: silentLogger, rowEveryMs: 0 };
    this.writer = sessionWriter(options);
    this.rows = new SessionRows(this.writer, name);
  }

  serve(device: string, nowMs: number): void {
    this.leave(nowMs);
    const place = { device, vdisk: 'lab', version: 0, role: 'serve', at: nowMs + this.#skewMs } as const;
    this.#serving = { ...place, type: 'attached', session: ++this.#number } as SessionEvent;
    this.rows.record(this.#serving);
  }

  leave(nowMs: number): void {
    if (this.#serving) this.rows.record({ ...this.#serving, type: 'silent', at: nowMs + this.#skewMs });
    this.#serving = undefined;
  }

  /** Until all that waits is written, and what is served was told again. */
  async settled(): Promise<void> {
    this.writer.tellAll();
    await this.writer.end('nobody', 0);
    await until('replayed', () => this.writer.journalEntries === 0);
    this.writer.tellAll();
    await this.writer.end('nobody', 0);
  }
}

test('two servers, whatever their clocks, losses of the database and orders of their journals: the row ends with the one that serves', async () => {
  const step = fc.record({
    what: fc.constantFrom('serve', 'serve', 'leave', 'away', 'back', 'wait'),
    who: fc.constantFrom(0, 1),
  });
  const hour = 3_600_000;
  let trial = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 10 }),
      fc.tuple(fc.constantFrom(-hour, 0, hour), fc.constantFrom(-hour, 0, hour)),
      fc.boolean(),
      async (steps, skews, swapped) => {
        const device = `pc${++trial}`;
        const journals = await Promise.all(skews.map(() => openJournalOn(new FakeJournalFile())));
        const peers = skews.map((skew, index) => new Peer(`node-${index}`, journals[index] as Journal, skew));
        let now = Date.now();
        let serving: Peer | undefined;
        for (const { what, who } of steps) {
          const peer = peers[who] as Peer;
          now += 200;
          if (what === 'serve') {
            peer.serve(device, now);
            serving = peer;
          } else if (what === 'leave') {
            peer.leave(now);
            if (serving === peer) serving = undefined;
          } else if (what === 'wait') await peer.writer.end('nobody', 0);
          else peer.database.away = what === 'away';
        }
        for (const peer of peers) {
          peer.database.away = false;
          if (peer !== serving) peer.leave(now + 30_000); // it has heard nothing for so long
        }
        for (let round = 0; round < 2; round++)
          for (const peer of swapped ? [...peers].reverse() : peers) await peer.settled();
        const row = (await stored()).find((found) => found.device === device);
        expect(row?.server).toBe(serving?.name);
        for (const peer of peers) await peer.writer.close();
      },
    ),
    { seed: 18, numRuns: 60 },
  );
});

test('a server whose clock is an hour behind is the later one when it is', async () => {
  const [ahead, behind] = await Promise.all(
    [3_600_000, -3_600_000].map(async (skew, index) => {
      return new Peer(`clock-${index}`, await openJournalOn(new FakeJournalFile()), skew);
    }),
  );
  if (!ahead || !behind) throw new Error('two peers');
  const row = async () => (await stored()).find(({ device }) => device === 'moved')?.server;
  ahead.serve('moved', Date.now());
  await until('it is there', async () => (await row()) === 'clock-0');
  behind.serve('moved', Date.now());
  await until('it is here', async () => (await row()) === 'clock-1');
  ahead.leave(Date.now());
  await ahead.settled();
  expect(await row()).toBe('clock-1');
  behind.leave(Date.now());
  await until('it ended', async () => (await row()) === undefined);
  for (const peer of [ahead, behind]) await peer.writer.close();
});
