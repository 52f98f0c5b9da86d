/**
 * TLS to the database and to the replica, with the configurations that the operator makes, by real PostgreSQL and Redis: who is believed, who is
 * turned away, that a renewed certificate is taken up, and what the users of the primary may do.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as dialTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { type KeyPair, makeAuthority, makeCertificate, type Subject } from '../../src/control/certificates.ts';
import { connect } from '../../src/database/connection.ts';
import { withRootFile } from '../../src/database/tls.ts';
import { INIT_DATABASE } from '../../src/reconcile/farm/objects.ts';
import { FOLLOWER_USER, PROJECTOR_USER } from '../../src/replica/config.ts';
import { openOnce, READER } from '../../src/replica/link.ts';
import { must } from '../fakes/farm.ts';
import { mountSecret } from '../fakes/mount.ts';
import { type ReplicaServers, startReplica } from '../fakes/replica.ts';
import { servePostgres, startRedis } from '../setup/services.ts';
import { until } from '../setup/time.ts';

const ADDRESS = '127.0.0.1';
const HERE: Subject = { names: ['lab-database'], addresses: [ADDRESS], use: 'server' };
const ELSEWHERE: Subject = { ...HERE, addresses: ['10.0.0.1'] };

let authority: KeyPair;
let foreign: KeyPair;
beforeAll(async () => {
  authority = await makeAuthority('lab', Date.now());
  foreign = await makeAuthority('lab', Date.now());
});

/** The serial number of the certificate that is shown at a port; PostgreSQL is asked for TLS first (SSLRequest). */
async function shownAt(port: number, startTls: boolean): Promise<string> {
  const raw = dial(port, ADDRESS);
  try {
    if (startTls) {
      raw.write(Buffer.from('0000000804d2162f', 'hex'));
      await new Promise((resolve) => raw.once('data', resolve));
    }
    const socket = dialTls({ socket: raw, rejectUnauthorized: false });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket.getPeerCertificate().serialNumber;
  } finally {
    raw.destroy();
  }
}

describe('the embedded PostgreSQL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-tls-'));
  const secrets = join(folder, 'secret');
  let server: Awaited<ReturnType<typeof servePostgres>>;
  let gid = 0;
  const mount = async (signer: KeyPair, subject: Subject): Promise<void> => {
    const { cert, key } = await makeCertificate(signer, subject, Date.now());
    mountSecret(secrets, { password: 'of-the-owner', 'tls.crt': cert, 'tls.key': key }, gid);
  };
  const uri = (): string => `postgresql://bootfarm:of-the-owner@${ADDRESS}:${server.port}/bootfarm`;
  const tried = async (options: { readonly uri: string; readonly ca?: string }): Promise<string> => {
    const database = must(connect({ ...options, maxConnections: 1 }));
    const answer = await database.run(
      async (db) => void (await db.selectNoFrom((of) => of.lit(1).as('one')).execute()),
    );
    await database.close();
    return answer.ok ? 'in' : answer.error.message;
  };

  beforeAll(async () => {
    const ids = ['-u', '-g'].map((flag) => execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim());
    gid = Number(ids[1]);
    mkdirSync(join(folder, 'data'));
    execFileSync('chown', ['-R', ids.join(':'), folder]);
    chmodSync(folder, 0o755);
    await mount(authority, HERE);
    const identity = [`--reuid=${ids[0]}`, `--regid=${ids[1]}`, '--clear-groups'];
    const script = INIT_DATABASE.replaceAll('/data', join(folder, 'data')).replaceAll('/secret', secrets);
    const env = { PATH: '/usr/lib/postgresql/15/bin:/usr/bin:/bin' };
    execFileSync('setpriv', [...identity, 'sh', '-c', script], { cwd: folder, env, stdio: 'pipe' });
    server = await servePostgres(join(folder, 'data/pg'), secrets, identity);
    writeFileSync(join(folder, 'ca.crt'), authority.cert);
  });
  afterAll(async () => {
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the operator, which has the authority’s certificate, comes in', async () => {
    expect(await tried({ uri: uri(), ca: authority.cert })).toBe('in');
    expect(await tried({ uri: `${uri()}?sslmode=require`, ca: authority.cert })).toBe('in');
  });

  test('servers, which have it in a file that the uri names, come in', async () => {
    expect(await tried({ uri: withRootFile(uri(), join(folder, 'ca.crt')) })).toBe('in');
  });

  test('nobody comes in without TLS', async () => {
    expect(await tried({ uri: uri() })).toContain('no encryption');
    expect(await tried({ uri: `${uri()}?sslmode=disable`, ca: authority.cert })).toContain('no encryption');
  });

  test('a server of another authority is not believed, nor one without the CA', async () => {
    expect(await tried({ uri: uri(), ca: foreign.cert })).toMatch(/certificate/i);
    expect(await tried({ uri: `${uri()}?sslmode=verify-full` })).toMatch(/certificate/i);
  });

  test('a renewed certificate is shown within seconds, and who is connected stays', async () => {
    const client = new Client({ connectionString: withRootFile(uri(), join(folder, 'ca.crt')) });
    await client.connect();
    const before = await shownAt(server.port, true);
    await mount(authority, HERE);
    await until('another certificate', async () => (await shownAt(server.port, true)) !== before, 20_000);
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    expect(await tried({ uri: uri(), ca: authority.cert })).toBe('in');
  });

  test('one that names another address is not believed', async () => {
    const before = await shownAt(server.port, true);
    await mount(authority, ELSEWHERE);
    await until('another certificate', async () => (await shownAt(server.port, true)) !== before, 20_000);
    expect(await tried({ uri: uri(), ca: authority.cert })).toMatch(/certificate|altnames/i);
  });
});

describe('the primary of the replica', () => {
  let replica: ReplicaServers;
  beforeAll(async () => {
    replica = await startReplica();
  });
  afterAll(() => replica?.close());

  test.each<{ who: string; access: () => { url: string; ca?: string }; answered: boolean }>([
    { who: 'the projector', access: () => replica.redis, answered: true },
    { who: 'the projector without TLS', access: () => ({ url: replica.redis.url }), answered: false },
    {
      who: 'a projector that believes another authority',
      access: () => ({ ...replica.redis, ca: foreign.cert }),
      answered: false,
    },
    {
      who: 'a wrong password',
      access: () => ({ ...replica.redis, url: replica.redis.url.replace('-secret', '') }),
      answered: false,
    },
    {
      who: 'the default user',
      access: () => ({ ...replica.redis, url: replica.redis.url.replace(/\/\/.*@/, '//') }),
      answered: false,
    },
  ])('$who is answered: $answered', async ({ access, answered }) => {
    const opened = await openOnce(access());
    if (opened.ok) opened.value.disconnect();
    expect(opened.ok).toBe(answered);
  });

  /** As `ACL LIST` gives them: a right more is a decision, made here. */
  test('each user has the rights that are listed here, and no other', async () => {
    const redis = new Redis(replica.testUrl, { tls: { ca: replica.authority.cert } });
    const users = (await redis.acl('LIST')) as readonly string[];
    redis.disconnect();
    const rights = users
      .filter((user) => !user.startsWith('user test '))
      .map((user) => user.replace(/ #[0-9a-f]{64}/, '').split(' '));
    // Redis gives the commands in the order of a hash.
    expect(rights.map(([, name, ...words]) => [name, ...words.sort()].join(' ')).sort()).toEqual([
      'default &* +@all off ~*', // nobody can be it: see config.ts
      'follower +ping +psync +replconf -@all on resetchannels',
      'projector +@transaction +hdel +hgetall +hlen +hset +info +ping +rename +replicaof|no +scan +unlink -@all -discard on resetchannels ~bootfarm:*',
    ]);
  });

  test.each([
    ['make a user', ['ACL', 'SETUSER', 'mine', 'on', 'nopass', '+@all']],
    ['read the users', ['ACL', 'LIST']],
    ['change a setting', ['CONFIG', 'SET', 'dir', '/tmp']],
    ['replicate from elsewhere', ['REPLICAOF', '10.0.0.1', '6379']],
    ['the same by its old name', ['SLAVEOF', 'NO', 'ONE']],
    ['run a script', ['EVAL', 'return 1', '0']],
    ['write another key', ['HSET', 'other', 'a', '1']],
    ['empty all', ['FLUSHALL']],
    ['end it', ['SHUTDOWN']],
    ['see the clients', ['CLIENT', 'LIST']],
  ])('the projector may not %s', async (_, [command = '', ...rest]) => {
    const redis = must(await openOnce(replica.redis));
    await expect(redis.call(command, ...rest)).rejects.toThrow('NOPERM');
    redis.disconnect();
  });

  test.each([['HGETALL', 'bootfarm:meta'], ['SCAN', '0'], ['INFO']])(
    'a follower may not %s',
    async (command, ...rest) => {
      const url = replica.redis.url.replace(`//${PROJECTOR_USER}:projector`, `//${FOLLOWER_USER}:follower`);
      const redis = must(await openOnce({ ...replica.redis, url }));
      await expect(redis.call(command, ...rest)).rejects.toThrow('NOPERM');
      redis.disconnect();
    },
  );

  test('the follower’s own socket is for reading alone', async () => {
    const redis = new Redis({ path: replica.follower.socketPath, ...READER });
    expect(await redis.hgetall('bootfarm:meta')).toEqual({});
    for (const command of [
      ['HSET', 'bootfarm:meta', 'a', '1'],
      ['CONFIG', 'GET', 'dir'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['GET', 'other'],
    ])
      await expect(redis.call(...(command as [string, ...string[]]))).rejects.toThrow('NOPERM');
    redis.disconnect();
  });

  test('a follower that believes another authority gets nothing', async () => {
    const { secrets } = replica;
    const config = (folder: string, socket: string): string =>
      replica.followerConfig({ folder, socketPath: socket }).replace(`${secrets}/ca.crt`, `${secrets}/foreign.crt`);
    writeFileSync(join(secrets, 'foreign.crt'), foreign.cert);
    const follower = await startRedis(config);
    const redis = new Redis({ path: follower.socketPath, ...READER });
    await until('it has tried', async () => /certificate verify failed/.test(follower.output));
    expect(await redis.info('replication')).toContain('master_link_status:down');
    redis.disconnect();
    await follower.close();
  });
});
