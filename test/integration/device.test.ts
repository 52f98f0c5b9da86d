import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { deviceCommand } from '../../src/commands/device.ts';
import { connect } from '../../src/database/connection.ts';
import { migrate } from '../../src/database/migrate.ts';
import { aFarm } from '../builders/rows.ts';
import { loadDatabase } from '../fakes/database.ts';
import { fakeTerminal, type Said } from '../fakes/terminal.ts';
import { type PostgresServer, startPostgres, startRedis } from '../setup/services.ts';

let postgres: PostgresServer;
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-device-'));
const uriFile = join(folder, 'uri');

beforeAll(async () => {
  postgres = await startPostgres();
  await migrate(postgres.uri);
  const database = connect({ uri: postgres.uri });
  if (!database.ok) throw new Error(database.error.message);
  await loadDatabase(database.value, { snapshot: aFarm(), devices: [], sessions: [] });
  await database.value.close();
  writeFileSync(uriFile, `${postgres.uri}\n`);
});
afterAll(async () => {
  await postgres.close();
  rmSync(folder, { recursive: true });
});

async function bootfarm(...words: string[]): Promise<Omit<Said, 'status'>> {
  const { said, terminal } = fakeTerminal();
  const command = deviceCommand(terminal);
  command.exitOverride();
  for (const each of command.commands) each.exitOverride();
  await command.parseAsync(words, { from: 'user' }).catch(() => {
    said.failed = true;
  });
  const { status: _, ...heard } = said;
  return heard;
}

const device = (...words: string[]) => bootfarm('--database-uri-file', uriFile, ...words);
const at = (uri: string, ...words: string[]) => {
  writeFileSync(join(folder, 'other'), uri);
  return bootfarm('--database-uri-file', join(folder, 'other'), ...words);
};
const csv = (text: string): string => {
  writeFileSync(join(folder, 'devices.csv'), text);
  return join(folder, 'devices.csv');
};

describe('bootfarm device', () => {
  test('add, the same again, list, remove', async () => {
    const add = [
      'add',
      'pc1',
      '--mac',
      '52:54:00:00:00:01',
      '--mac',
      '52-54-00-00-00-02',
      '--collection',
      'room-101',
      '--property',
      'seat=A=1',
    ];
    expect(await device(...add)).toEqual({ out: 'device pc1 added to collection room-101\n', err: '', failed: false });
    expect(await device(...add)).toEqual({ out: 'device pc1 is there already: unchanged\n', err: '', failed: false });
    expect(JSON.parse((await device('list', '-o', 'json')).out)).toEqual([
      {
        name: 'pc1',
        macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
        collection: 'room-101',
        enabled: true,
        properties: { seat: 'A=1' },
      },
    ]);
    expect((await device('list')).out).toMatch(
      /^NAME +MAC +COLLECTION .*\npc1 +52:54:00:00:00:01 52:54:00:00:00:02 +room-101 +- +true +-\n$/,
    );
    expect((await device('list', '--collection', 'room-102', '-o', 'json')).out).toBe('[]\n');
    expect(await device('list', '--collection', 'room-10')).toMatchObject({
      failed: true,
      err: expect.stringMatching(/no collection room-10; it has room-101, room-102/),
    });
    expect((await device('remove', 'pc1')).out).toBe(
      'device pc1 (MAC 52:54:00:00:00:01 52:54:00:00:00:02) removed from collection room-101\n',
    );
    expect(await device('remove', 'pc1')).toMatchObject({ err: expect.stringMatching(/no device pc1/), failed: true });
  });

  test.each([
    [
      'an unknown collection names those that exist',
      ['add', 'a', '--mac', '525400000001', '--collection', 'x'],
      /no collection x; it has room-101, room-102/,
    ],
    ['a bad MAC', ['add', 'a', '--mac', 'zz', '--collection', 'room-101'], /mac "zz": a MAC is six bytes/],
    [
      'a bad property',
      ['add', 'a', '--mac', '525400000001', '--collection', 'room-101', '--property', 'x'],
      /key=value/,
    ],
    [
      'a UUID that whole series of boards have',
      [
        ...['add', 'a', '--mac', '525400000001', '--collection', 'room-101'],
        ...['--uuid', '03000200-0400-0500-0006-000700080009'],
      ],
      /uuid "03000200-.*": boards that were never given a UUID say this one: leave it out/,
    ],
    ['no MAC at all', ['add', 'a', '--collection', 'room-101'], /required option '--mac/],
    ['a file that is not there', ['import', '/nowhere.csv'], /cannot read \/nowhere.csv/],
  ])('%s', async (_, words, reason) => {
    expect(await device(...words)).toMatchObject({ failed: true, out: '', err: expect.stringMatching(reason) });
  });

  test('set: what is named becomes so, the rest stays, and what it was is in the audit', async () => {
    await device('add', 'pc1', '--mac', '525400000001', '--collection', 'room-101', '--property', 'seat=A1');
    await device('add', 'pc2', '--mac', '525400000002', '--collection', 'room-101');
    const set = async (...words: string[]) => {
      const { out, err } = await device('set', 'pc1', ...words);
      return out + err;
    };
    expect(await set('--collection', 'room-102', '--class', 'test', '--disabled', '--property', 'floor=2')).toBe(
      "device pc1: collection: room-101 -> room-102; class: the collection's -> Test; enabled: true -> false; property floor: none -> 2\n",
    );
    expect(await set('--disabled')).toBe('device pc1: unchanged\n');
    expect(await set('--remove-mac', '52-54-00-00-00-01', '--add-mac', '525400000003', '--class', '')).toBe(
      "device pc1: MAC: 52:54:00:00:00:01 -> 52:54:00:00:00:03; class: Test -> the collection's\n",
    );
    expect(await set('--uuid', '6d3c8a62-0000-4000-8000-000000000001', '--remove-property', 'seat', '--enabled')).toBe(
      'device pc1: UUID: none -> 6d3c8a62-0000-4000-8000-000000000001; enabled: false -> true; property seat: A1 -> none\n',
    );
    expect(JSON.parse((await device('list', '--collection', 'room-102', '-o', 'json')).out)).toEqual([
      {
        ...{ name: 'pc1', macs: ['52:54:00:00:00:03'], collection: 'room-102', enabled: true },
        ...{ uuid: '6d3c8a62-0000-4000-8000-000000000001', properties: { floor: '2' } },
      },
    ]);
    const database = connect({ uri: postgres.uri });
    if (!database.ok) throw new Error(database.error.message);
    const audit = await database.value.run((db) =>
      db.selectFrom('audit').select(['before', 'after']).where('action', '=', 'change').orderBy('id').execute(),
    );
    await database.value.close();
    expect(audit).toMatchObject({ value: [{ before: { collection: 'room-101' }, after: { class: 'Test' } }, {}, {}] });
  });

  test.each([
    [['pc1'], /say what is to change/],
    [['pc9', '--disabled'], /the farm has no device pc9/],
    [['pc1', '--collection', 'nowhere'], /no collection nowhere; it has room-101, room-102/],
    [['pc1', '--add-mac', '525400000002'], /MAC 52:54:00:00:00:02 belongs to device pc2/],
    [['pc1', '--add-mac', 'zz'], /mac "zz": a MAC is six bytes/],
    [['pc1', '--remove-mac', '525400000003'], /a device needs a MAC/],
    [['pc1', '--remove-property', 'seat'], /device pc1 has no property seat/],
    [['pc1', '--class', 'Prod'], /one of Maintenance, Test, Production/],
    [['pc1', '--enabled', '--disabled'], /cannot be used with/],
  ])('set %j is refused, and changes nothing', async (words, reason) => {
    const before = (await device('list', '-o', 'json')).out;
    expect(await device('set', ...words)).toMatchObject({ failed: true, out: '', err: expect.stringMatching(reason) });
    expect((await device('list', '-o', 'json')).out).toBe(before);
  });

  test('a mistyped site is named', async () => {
    expect(await device('list', '--site', 'pari')).toMatchObject({
      failed: true,
      err: expect.stringMatching(/no site pari/),
    });
    for (const name of ['pc1', 'pc2']) await device('remove', name);
  });

  test('import: one bad line stops all, and every bad line is named; --skip-bad takes the rest; again changes nothing', async () => {
    const file = csv(
      'name,mac,collection,class\np1,52:54:00:00:01:01,room-101,\np2,bad,room-101,\np3,52:54:00:00:01:03,nowhere,\np4,52:54:00:00:01:04,room-102,Test\n',
    );
    const refused = await device('import', file);
    expect(refused).toMatchObject({ out: '', failed: true });
    expect(refused.err).toMatch(/line 3, column mac, value "bad": a MAC/);
    expect(refused.err).toMatch(
      /line 4, column collection, value "nowhere": the farm has no collection nowhere; it has room-101, room-102/,
    );
    expect(refused.err).toMatch(/nothing was imported: 2 lines bad, 2 good/);
    expect((await device('list', '-o', 'json')).out).toBe('[]\n');
    expect(await device('import', file, '--skip-bad')).toMatchObject({
      out: '2 added, 0 unchanged, 2 lines skipped\n',
      failed: false,
    });
    expect(await device('import', csv('name,mac,collection,class\np1,52:54:00:00:01:01,room-101,\n'))).toMatchObject({
      out: '0 added, 1 unchanged\n',
    });
    expect((await device('import', csv('name,mac,collection\np9,52:54:00:00:01:04,room-101\n'))).err).toMatch(
      /line 2, column mac, value "52:54:00:00:01:04": MAC 52:54:00:00:01:04 belongs to device p4/,
    );
  });

  test('ten thousand devices in one file', async () => {
    const rows = Array.from({ length: 10_000 }, (_, n) => `m${n},5256${n.toString(16).padStart(8, '0')},room-101`);
    expect(await device('import', csv(`name,mac,collection\n${rows.join('\n')}\n`))).toMatchObject({
      out: '10000 added, 0 unchanged\n',
      err: '',
    });
  });

  test('export is what import takes: a table that was lost comes back, from the database or from a follower', async () => {
    const redis = await startRedis();
    const follower = new Redis(redis.socketPath);
    try {
      const before = (await device('list', '-o', 'json')).out;
      const { out: exported } = await device('export');
      const known = JSON.parse(before) as readonly { readonly name: string }[];
      expect(known.length).toBeGreaterThan(2);
      await follower.hset('bootfarm:device', Object.fromEntries(known.map((one) => [one.name, JSON.stringify(one)])));
      process.env['BOOTFARM_REPLICA_SOCKET'] = redis.socketPath;
      expect(await bootfarm('export')).toMatchObject({ failed: true, err: expect.stringMatching(/holds no farm yet/) });
      await follower.hset('bootfarm:meta', 'schema', '1');
      expect(await bootfarm('export')).toEqual({ out: exported, err: '', failed: false });
      expect((await device('export', '--from', 'database')).out).toBe(exported);
      const lost = await postgres.createDatabase('lost');
      await migrate(lost);
      const database = connect({ uri: lost });
      if (!database.ok) throw new Error(database.error.message);
      await loadDatabase(database.value, { snapshot: aFarm(), devices: [], sessions: [] });
      await database.value.close();
      expect(await at(lost, 'import', csv(exported))).toMatchObject({ err: '', failed: false });
      expect((await at(lost, 'list', '-o', 'json')).out).toBe(before);
    } finally {
      delete process.env['BOOTFARM_REPLICA_SOCKET'];
      follower.disconnect();
      await redis.close();
    }
    expect((await device('export', '--from', 'replica')).err).toMatch(/only a server has a follower/);
  });

  test('in a server devices are listed, and edits name the place where they are made', async () => {
    process.env['BOOTFARM_DATABASE_URI_FILE'] = uriFile;
    process.env['BOOTFARM_SERVER_OF'] = 'lab/farm';
    try {
      expect((await bootfarm('list', '-o', 'json')).failed).toBe(false);
      const edits = [
        ['add', 'pc9', '--mac', '525400000099', '--collection', 'room-101'],
        ['remove', 'pc9'],
        ['import', csv('name,mac,collection\n')],
      ];
      for (const words of edits)
        expect(await bootfarm(...words)).toEqual({
          out: '',
          failed: true,
          err: expect.stringMatching(
            /a server may not change devices: .*deploy\/bootfarm -- bootfarm device --farm lab\/farm/,
          ),
        });
    } finally {
      delete process.env['BOOTFARM_DATABASE_URI_FILE'];
      delete process.env['BOOTFARM_SERVER_OF'];
    }
  });

  test('says which database is missing, wrong or empty', async () => {
    delete process.env['BOOTFARM_DATABASE_URI'];
    expect((await bootfarm('list')).err).toMatch(
      /Name --farm NAMESPACE.NAME in the pod of the operator, give --database-uri-file FILE, or set BOOTFARM_DATABASE_URI/,
    );
    expect((await at('x', 'list')).err).toMatch(/must look like postgresql:/);
    const wrong = postgres.uri.replace('secret', 'hidden');
    expect(await at(wrong, 'list')).toMatchObject({
      failed: true,
      err: expect.stringMatching(/password authentication failed.*check/),
    });
    process.env['BOOTFARM_DATABASE_URI'] = postgres.uri;
    expect((await bootfarm('list', '-o', 'json')).failed).toBe(false);
    const empty = await postgres.createDatabase('empty');
    expect((await at(empty, 'list')).err).toMatch(/the operator makes the tables/);
  });

  test('help says how, with an example', async () => {
    expect((await bootfarm('import', '--help')).out).toMatch(/none when one line is bad[\s\S]*name,mac,collection/);
    expect((await bootfarm('add', '--help')).out).toMatch(/--mac <mac> +required[\s\S]*--collection <name> +required/);
    expect((await bootfarm('--help')).out).toMatch(/add .*list .*remove .*import .*export/s);
  });
});
