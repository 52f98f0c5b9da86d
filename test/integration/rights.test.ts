/** What a server may do in the farm database, judged by a real PostgreSQL; and how it comes by a login for that. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import { connect, type Database } from '../../src/database/connection.ts';
import { recordCopies, versionsUsed } from '../../src/database/copies.ts';
import { databaseData } from '../../src/database/data.ts';
import { enrolDevice, markSharedUuid } from '../../src/database/devices.ts';
import { SERVER_GRANTS } from '../../src/database/grants.ts';
import { migrate } from '../../src/database/migrate.ts';
import {
  changeOwnerPassword,
  ensureServerAccess,
  retireServerRole,
  scramVerifier,
  serverRole,
  withTurn,
  withUser,
} from '../../src/database/roles.ts';
import { endSessionsExcept, registerServer, replayJournal, upsertSession } from '../../src/database/servers.ts';
import { withRootFile } from '../../src/database/tls.ts';
import type { Device, Server } from '../../src/farm/model.ts';
import { INIT_DATABASE } from '../../src/reconcile/farm/objects.ts';
import { aFarm, aSession } from '../builders/rows.ts';
import { loadDatabase } from '../fakes/database.ts';
import { mountSecret } from '../fakes/mount.ts';
import { type PostgresServer, servePostgres, startPostgres } from '../setup/services.ts';

const A_SERVER: Server = {
  name: 'node-z',
  site: 'default',
  pool: 'main',
  address: '10.0.0.1',
  ports: { stream: 6910, http: 8069, control: 6911 },
  powerRating: 1,
};
const A_UUID = '6d3c8a62-0000-4000-8000-000000000001';
const A_DEVICE: Device = {
  name: 'pc0001',
  macs: ['52:54:00:00:00:01'],
  uuid: A_UUID,
  collection: 'room-101',
  enabled: true,
  properties: {},
};
const PASSWORD = 'of-the-servers';
const value = <T>(answer: { ok: true; value: T } | { ok: false; error: { message: string } }): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};
const open = (uri: string): Database => value(connect({ uri, maxConnections: 2 }));
async function ask<T extends object>(uri: string, text: string): Promise<readonly T[]> {
  const client = new Client({ connectionString: uri, connectionTimeoutMillis: 2_000 });
  try {
    await client.connect();
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}
/** The SQLSTATE of its refusal. */
const refusal = (uri: string, text: string): Promise<unknown> =>
  ask(uri, text).then(
    () => 'allowed',
    (thrown: { readonly code?: string }) => thrown.code,
  );

let postgres: PostgresServer;
let owner: string;
let server: string;
let asOwner: Database;
let asServer: Database;

/** A database of its own whose owner may make roles. */
async function anOwner(name: string, options = 'createrole'): Promise<string> {
  await ask(postgres.uri, `create role ${name} login ${options} password 'owner'`);
  const uri = await postgres.createDatabase(name);
  await ask(postgres.uri, `alter database ${name} owner to ${name}`);
  return withUser(uri, name, 'owner');
}

beforeAll(async () => {
  postgres = await startPostgres();
  owner = await anOwner('lab');
  value(await migrate(owner));
  asOwner = open(owner);
  const access = value(await ensureServerAccess(asOwner, { uri: owner, password: PASSWORD }));
  expect(access).toEqual({ uri: withUser(owner, 'lab_server', PASSWORD) });
  server = access.uri;
  asServer = open(server);
  await loadDatabase(asOwner, { snapshot: aFarm(), devices: [A_DEVICE], sessions: [] });
});
afterAll(async () => {
  await asServer?.close();
  await asOwner?.close();
  await postgres?.close();
});

describe('the role of the servers', () => {
  test('has on each table what the list says, on every other table nothing, and is no more than a login', async () => {
    const rows = await ask<{ name: string; held: string[] }>(
      owner,
      `select relname::text as name, array_remove(array_agg(distinct privilege_type::text), null) as held from pg_class
       left join lateral (select privilege_type from aclexplode(relacl) where grantee = 'lab_server'::regrole or grantee = 0) as acl on true
       where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S') group by relname`,
    );
    const held = Object.fromEntries(rows.map(({ name, held }) => [name, held.sort()]));
    const listed = Object.entries(SERVER_GRANTS).map(([name, wanted]) => [name, [...wanted].sort()]);
    const unlisted = { migration: [], audit_id_seq: [], dirty_id_seq: [] };
    expect(held).toEqual({ ...Object.fromEntries(listed), ...unlisted });
    expect(
      await ask(
        postgres.uri,
        `select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
           (select count(*)::int from pg_auth_members where member = pg_roles.oid) as member_of from pg_roles where rolname = 'lab_server'`,
      ),
    ).toEqual([
      {
        rolsuper: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolreplication: false,
        rolbypassrls: false,
        member_of: 0,
      },
    ]);
  });

  test('does all that a server does, and the feed hears of it', async () => {
    value(await registerServer(asServer, A_SERVER));
    expect(value(await registerServer(asServer, A_SERVER))).toBe(false);
    const copy = { server: 'node-z', version: 0, state: 'UpToDate', message: '' } as const;
    value(await recordCopies(asOwner, 'lab', { put: [copy], gone: [] }));
    value(await upsertSession(asServer, aSession({ device: 'pc0001', server: 'node-z' })));
    expect(value(await versionsUsed(asServer))).toEqual({
      sessions: [{ device: 'pc0001', vdisk: 'lab', version: expect.any(Number) }],
      copies: [{ server: 'node-z', vdisk: 'lab', version: 0, state: 'UpToDate' }],
    });
    value(await endSessionsExcept(asServer, 'node-z', []));
    const change = { device: 'pc0002', epoch: 2, session: aSession({ device: 'pc0002', epoch: 2 }), ended: false };
    const entries = [{ id: '6d3c8a62-1b5f-4d0c-9c3e-0123456789ab', change }];
    expect(value(await replayJournal(asServer, { server: 'node-z', entries }, (all) => all))).toEqual({
      fresh: 1,
      foreign: 0,
    });
    const machine = { macs: ['52:54:00:00:07:77'], collection: 'room-101', enabled: true, properties: {} };
    value(
      await enrolDevice(asServer, machine, { namePrefix: 'auto', digits: 4 }, { source: 'auto-add', who: 'node-z' }),
    );
    const data = databaseData(asServer);
    expect(value(await data.deviceByMac('52:54:00:00:07:77'))?.name).toBe('auto0001');
    for (const mac of ['52:54:00:00:07:78', '52:54:00:00:07:79'])
      value(await markSharedUuid(asServer, { name: 'pc0001', uuid: A_UUID, mac }));
    expect(value(await data.deviceByUuid(A_UUID))?.uuidSharedWith).toBe('52:54:00:00:07:78');
    expect(value(await data.snapshot()).servers.map(({ name }) => name)).toContain('node-z');
    const told = await ask<{ key: string }>(owner, 'select distinct key from dirty');
    expect(told.map(({ key }) => key)).toEqual(
      expect.arrayContaining(['node-z', 'pc0001', 'pc0002', 'auto0001', A_UUID]),
    );
  });

  const DENIED = '42501';
  test.each([
    ['remove a device', `delete from device`],
    ['change a device', `update device set enabled = false`],
    ['give a device another MAC', `update device_mac set mac = '52:54:00:00:00:99'`],
    ['say what is right of a version', `update vdisk_version set content = null`],
    ['say what a copy is worth', `update copy set state = 'UpToDate'`],
    ['change the farm', `update farm set doc = '{}'`],
    ['make a collection', `insert into collection select * from collection`],
    ['remove a server', `delete from server`],
    ['remove a session', `delete from session`],
    ['read who did what', `select * from audit`],
    ['unsay who did what', `delete from audit`],
    ['write the feed', `insert into dirty (kind, key) values ('farm', 'true')`],
    ['swallow the feed', `delete from dirty`],
    ['fence the projector', `update feed_cursor set epoch = 9223372036854775807`],
    ['read the migrations', `select * from migration`],
    ['empty a table', `truncate session`],
    ['lock the table of devices', `begin; lock table device in access exclusive mode; commit`],
    ['make a table', `create table public.mine ()`],
    ['make a function', `create function public.mine() returns int language sql as 'select 1'`],
    ['drop a trigger', `drop trigger dirty_update on device`],
    ['make a role', `create role mine`],
    ['become the owner', `set role lab`],
    ['read a file', `select pg_read_file('/etc/passwd')`],
    ['run a program', `copy session from program 'true'`],
    ['end the connections of others', `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'lab'`],
  ])('cannot %s', async (_, text) => {
    expect(await refusal(server, text)).toBe(DENIED);
  });

  test('a temporary table of its own is not what the triggers write to', async () => {
    await ask(
      server,
      `create temp table dirty (kind text, key text); insert into server (name, site, pool, address, ports, power_rating)
       values ('node-temp', 's', 'p', '10.0.0.1', '{}', 1)`,
    );
    expect(await ask(owner, `select key from dirty where key = 'node-temp'`)).toEqual([{ key: 'node-temp' }]);
  });
});

describe('the way to a login', () => {
  const again = () => ensureServerAccess(asOwner, { uri: owner, password: PASSWORD });

  test('again: nothing changes; what somebody granted beyond is taken back, what was revoked is given again', async () => {
    const before = await ask(postgres.uri, `select xmin::text from pg_authid where rolname = 'lab_server'`);
    expect(value(await again())).toEqual({ uri: server });
    expect(await ask(postgres.uri, `select xmin::text from pg_authid where rolname = 'lab_server'`)).toEqual(before);
    await ask(owner, 'grant delete, update on device to lab_server; revoke select on farm from lab_server');
    expect(await refusal(server, 'delete from device where false')).toBe('allowed');
    value(await again());
    expect(await refusal(server, 'delete from device where false')).toBe('42501');
    expect(await refusal(server, 'select * from farm')).toBe('allowed');
  });

  test('a password that is another one now is set', async () => {
    await ask(owner, `alter role lab_server password 'another'`);
    value(await again());
    expect(await refusal(server, 'select 1')).toBe('allowed');
  });

  test('two roles take turns: both let in, then one alone, and who is logged in as the other may do nothing', async () => {
    const login = { uri: owner, password: 'of the second turn', turn: '2' } as const;
    const second = value(await ensureServerAccess(asOwner, login)).uri;
    expect(second).toBe(withUser(owner, 'lab_server2', login.password));
    for (const uri of [server, second]) expect(await refusal(uri, 'select * from device')).toBe('allowed');
    const connected = new Client({ connectionString: server });
    await connected.connect();
    for (let time = 0; time < 2; time++) value(await retireServerRole(asOwner, '1'));
    expect(await refusal(server, 'select 1')).toMatch(/^28/);
    await expect(connected.query('select * from device')).rejects.toThrow('permission denied');
    await connected.end();
    expect(await refusal(second, 'select * from device')).toBe('allowed');

    expect(value(await again())).toEqual({ uri: server });
    value(await retireServerRole(asOwner, '2'));
    expect(await refusal(server, 'select * from device')).toBe('allowed');
    expect(await refusal(second, 'select 1')).toMatch(/^28/);
  });

  test('an owner that may make no role: servers log in as the owner, and it is said', async () => {
    const poor = await anOwner('poor', '');
    value(await migrate(poor));
    const database = open(poor);
    const access = value(await ensureServerAccess(database, { uri: poor, password: PASSWORD }));
    expect(access).toEqual({
      uri: poor,
      excess: expect.stringMatching(/as poor, who owns .*CREATEROLE.*serverSecretRef/),
    });
    await ask(postgres.uri, `create role helper login password 'helper'`);
    const given = withUser(poor, 'helper', 'helper');
    expect(value(await ensureServerAccess(database, { uri: poor, password: PASSWORD, given }))).toEqual({ uri: given });
    expect(await refusal(given, 'select * from device')).toBe('allowed');
    expect(await refusal(given, 'delete from device')).toBe('42501');
    const same = value(await ensureServerAccess(database, { uri: poor, password: PASSWORD, given: poor }));
    expect(same.excess).toMatch(/may do anything: give them another user/);
    const other = withUser(owner, 'helper', 'helper');
    expect(await ensureServerAccess(database, { uri: poor, password: PASSWORD, given: other })).toMatchObject({
      error: { code: 'Refused', message: expect.stringMatching(/names database lab, that of the owner poor/) },
    });
    await database.close();
  });

  test("a role of that name that is somebody else's is left alone", async () => {
    const taken = await anOwner('taken');
    await ask(postgres.uri, `create role taken_server login password 'theirs'`);
    value(await migrate(taken));
    const database = open(taken);
    const access = value(await ensureServerAccess(database, { uri: taken, password: PASSWORD }));
    expect(access).toEqual({ uri: taken, excess: expect.stringMatching(/taken_server .* was not made by bootfarm/) });
    expect(await refusal(withUser(taken, 'taken_server', 'theirs'), 'select 1')).toBe('allowed');
    await database.close();
  });

  test('where everybody may make functions in the schema (PostgreSQL 14), nobody may afterwards', async () => {
    const superuser = postgres.uri.replace(/postgres$/, 'lab');
    const makes = () =>
      refusal(server, `create function mine() returns int language sql as 'select 1'; drop function mine()`);
    await ask(superuser, 'grant create on schema public to public');
    expect(await makes()).toBe('allowed');
    expect(value(await again()).excess).toBeUndefined();
    expect(await makes()).toBe('42501');
    await ask(superuser, 'alter schema public owner to postgres; grant create on schema public to public');
    expect(value(await again()).excess).toMatch(/revoke CREATE on its schema from PUBLIC/);
    await ask(superuser, 'revoke create on schema public from public; grant create on schema public to lab');
    expect(value(await again()).excess).toBeUndefined();
  });
});

test.each([
  ['postgresql://a:b@h:1/d?sslmode=require', 'postgresql://s:p%2F@h:1/d?sslmode=require'],
  ['postgres://h/d', 'postgres://s:p%2F@h/d'],
  ['postgresql://a@h1:1,h2:2/d', 'postgresql://s:p%2F@h1:1,h2:2/d'],
  ['postgresql:///d?host=/run&user=a&password=b', 'postgresql://s:p%2F@/d?host=/run'],
])('%s with another user', (uri, expected) => {
  expect(withUser(uri, 's', 'p/')).toBe(expected);
});

test.each([
  { uri: 'postgresql://lab_server:p@h1:1,h2:2/lab?a=b', told: 'postgresql://lab_server2:q@h1:1,h2:2/lab?a=b' },
  { uri: 'postgresql://lab_server2:p@h/lab', told: 'postgresql://lab_server2:q@h/lab' },
  { uri: 'postgresql://lab:p@h/lab', told: 'postgresql://lab:p@h/lab' },
  { uri: 'postgresql://lab_server:p@h/other', told: 'postgresql://lab_server:p@h/other' },
  { uri: '', told: '' },
])('of a new turn servers are told $told for $uri', ({ uri, told }) => {
  expect(withTurn(uri, '2', 'q')).toBe(told);
});

test('a long name of a database makes a name of a role that PostgreSQL keeps whole', () => {
  expect(serverRole('d'.repeat(63), '2')).toHaveLength(63);
});

test('RFC 7677, the example of section 3, as PostgreSQL keeps it', () => {
  expect(scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

describe('the embedded database, made as its pod makes it', () => {
  let made: Awaited<ReturnType<typeof servePostgres>>;
  let uri: string;
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-embedded-'));

  beforeAll(async () => {
    const [uid = '', gid = ''] = ['-u', '-g'].map((flag) =>
      execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim(),
    );
    const authority = await makeAuthority('lab', Date.now());
    const subject = { names: ['lab-database'], addresses: ['127.0.0.1'], use: 'server' } as const;
    const { cert, key } = await makeCertificate(authority, subject, Date.now());
    const files = { password: 'of-the-owner', 'tls.crt': cert, 'tls.key': key };
    mkdirSync(join(folder, 'data'));
    execFileSync('chown', ['-R', `${uid}:${gid}`, folder]);
    mountSecret(join(folder, 'secret'), files, Number(gid));
    writeFileSync(join(folder, 'ca.crt'), authority.cert);
    chmodSync(folder, 0o755);
    const script = INIT_DATABASE.replaceAll('/data', join(folder, 'data')).replaceAll(
      '/secret',
      join(folder, 'secret'),
    );
    const identity = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
    const run = () =>
      execFileSync('setpriv', [...identity, 'sh', '-c', script], {
        cwd: folder,
        env: { PATH: '/usr/lib/postgresql/15/bin:/usr/bin:/bin' },
        stdio: 'pipe',
      });
    run();
    run(); // a pod that starts again
    made = await servePostgres(join(folder, 'data/pg'), join(folder, 'secret'), identity);
    const plain = `postgresql://bootfarm:of-the-owner@127.0.0.1:${made.port}/bootfarm`;
    uri = withRootFile(plain, join(folder, 'ca.crt'));
  });
  afterAll(async () => {
    await made?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the owner makes tables and the role of servers; only its own password lets it in', async () => {
    value(await migrate(uri));
    const database = open(uri);
    const access = value(await ensureServerAccess(database, { uri, password: PASSWORD }));
    await database.close();
    expect(access).toEqual({ uri: withUser(uri, 'bootfarm_server', PASSWORD) });
    expect(await refusal(access.uri, 'select * from device')).toBe('allowed');
    expect(await refusal(withUser(uri, 'bootfarm', 'wrong'), 'select 1')).toBe('28P01');
    expect(await refusal(uri, 'select pg_read_file($$/etc/passwd$$)')).toBe('42501');
    // Not even a table for its session alone.
    expect(await refusal(access.uri, 'create temp table mine ()')).toBe('42501');
  });

  test('the password of the owner is changed, once: after a crash in between it is found changed', async () => {
    const access = (password: string) => ({ uri: withUser(uri, 'bootfarm', password) });
    const [before, after] = [access('of-the-owner'), access('another')];
    // Options that name the CA's file are kept by withUser.
    for (let time = 0; time < 2; time++) value(await changeOwnerPassword(before, after, 'another'));
    expect(await refusal(before.uri, 'select 1')).toBe('28P01');
    expect(await refusal(after.uri, 'select 1')).toBe('allowed');
    value(await changeOwnerPassword(after, before, 'of-the-owner'));
    expect(await changeOwnerPassword(access('x'), access('y'), 'y')).toMatchObject({
      error: { code: 'AuthenticationFailed' },
    });
  });

  test('over the network the second role of servers comes in, too', async () => {
    const database = open(uri);
    const access = value(await ensureServerAccess(database, { uri, password: PASSWORD, turn: '2' }));
    await database.close();
    expect(access.uri).toBe(withUser(uri, 'bootfarm_server2', PASSWORD));
  });

  test.each([
    ['the superuser', 'postgres', 'bootfarm'],
    ['the owner, to another database', 'bootfarm', 'postgres'],
    ['servers, to another database', 'bootfarm_server', 'template1'],
  ])('over the network does not come %s', async (_, user, name) => {
    expect(await refusal(withUser(uri, user, 'of-the-owner').replace(/\/bootfarm\?/, `/${name}?`), 'select 1')).toBe(
      '28000',
    );
  });

  test('within the pod the superuser needs no password', () => {
    const args = [
      '-h',
      made.socketFolder,
      '-p',
      String(made.port),
      '-U',
      'postgres',
      '-d',
      'bootfarm',
      '-tAc',
      'select 1',
    ];
    expect(execFileSync('psql', args, { encoding: 'utf8' })).toBe('1\n');
  });
});
