/**
 * Throwaway PostgreSQL and Redis servers for integration tests: real processes of Debian's packages, in a temporary folder, on
 * loopback. They end with `close()`, and with the process that started them (pdeathsig), whatever happens to it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { postgresArguments } from '../../src/database/config.ts';
import { toldOnChange } from '../../src/reconcile/farm/objects.ts';
import { freePort } from './ports.ts';
import { until } from './time.ts';

const POSTGRES_BIN = '/usr/lib/postgresql/15/bin';
const READY_DEADLINE_MS = 20_000;

export interface PostgresServer {
  readonly port: number;
  /** Superuser, by password. */
  readonly uri: string;
  /** The same, by the UNIX socket: from any network namespace. */
  readonly socketUri: string;
  /** Another database of the same server, made empty, or as `template` is now: its connections are ended. */
  createDatabase(name: string, template?: string): Promise<string>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** After `kill`, on the same port and data; resolves when it answers. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT of the postmaster: the port still takes connections, nobody answers them. */
  freeze(): void;
  thaw(): void;
  /** A hot standby of this server, by streaming replication; on a port that is free. */
  startStandby(port?: number): Promise<PostgresServer>;
  /** Of a standby: makes it a primary. */
  promote(): Promise<void>;
  close(): Promise<void>;
}

/** A pooler in front of a PostgreSQL, in transaction mode: each transaction may get another connection. */
export interface PgBouncer {
  readonly uri: string;
  close(): Promise<void>;
}

export interface RedisServer {
  readonly folder: string;
  readonly socketPath: string;
  /** The end of its log. */
  readonly output: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Removes what it keeps on disk; only after `kill`. */
  wipe(): void;
  close(): Promise<void>;
}

/** One process that is started again after a kill. */
class Service {
  readonly #command: readonly string[];
  #child: ChildProcess | undefined;
  #output = '';

  constructor(command: readonly string[]) {
    this.#command = command;
  }

  start(): void {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...this.#command], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        this.#output = (this.#output + String(chunk)).slice(-4_000);
      });
    this.#child = child;
  }

  get output(): string {
    return this.#output;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Until each process that it started has ended, too: the last one closes its output. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGCONT');
    child.kill(signal);
    await once(child, 'close');
  }
}

/** Runs as `postgres`, which refuses to be root. */
function asPostgres(): { readonly uid: number; readonly gid: number; readonly command: readonly string[] } {
  const [uid = 0, gid = 0] = ['-u', '-g'].map((flag) =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })),
  );
  return { uid, gid, command: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] };
}

function postgresFolder(name: string): string {
  const { uid, gid } = asPostgres();
  const folder = mkdtempSync(join(tmpdir(), `bootfarm-${name}-`));
  chownSync(folder, uid, gid);
  return folder;
}

function runAsPostgres(folder: string, ...command: readonly string[]): void {
  const [program = '', ...words] = asPostgres().command;
  execFileSync(program, [...words, ...command], { cwd: folder, stdio: 'pipe' });
}

export async function startPostgres(): Promise<PostgresServer> {
  const folder = postgresFolder('postgres');
  const data = join(folder, 'data');
  const password = join(folder, 'password');
  writeFileSync(password, 'secret\n');
  chmodSync(password, 0o644);
  const settings = ['--auth=scram-sha-256', '-E', 'UTF8', '--locale=C', '--no-sync'];
  runAsPostgres(folder, `${POSTGRES_BIN}/initdb`, '-D', data, '-U', 'postgres', '--pwfile', password, ...settings);
  return runPostgres(folder, await freePort());
}

/** On the data that lies in `folder`. */
async function runPostgres(folder: string, port: number): Promise<PostgresServer> {
  const data = join(folder, 'data');
  const settings = [
    'fsync=off',
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    'shared_buffers=16MB',
    'max_connections=50',
  ].flatMap((setting) => ['-c', setting]);
  const [, ...user] = asPostgres().command;
  const service = new Service([...user, `${POSTGRES_BIN}/postgres`, '-D', data, '-p', String(port), ...settings]);
  const uri = `postgresql://postgres:secret@127.0.0.1:${port}/postgres`;
  const query = async (text: string): Promise<void> => {
    const client = new Client({ connectionString: uri, connectionTimeoutMillis: 1_000 });
    try {
      await client.connect();
      await client.query(text);
    } finally {
      await client.end();
    }
  };
  const start = async (): Promise<void> => {
    service.start();
    await until('PostgreSQL answers', () => query('select 1').then(() => true), READY_DEADLINE_MS).catch((cause) => {
      throw new Error(service.output, { cause });
    });
  };
  await start();
  return {
    port,
    uri,
    socketUri: `postgresql://postgres:secret@localhost/postgres?host=${folder}&port=${port}`,
    async createDatabase(name, template) {
      if (template !== undefined)
        await query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${template}'`);
      await query(`create database "${name}"${template === undefined ? '' : ` template "${template}"`}`);
      return uri.replace(/postgres$/, name);
    },
    kill: () => service.end('SIGKILL'),
    start,
    freeze: () => service.signal('SIGSTOP'),
    thaw: () => service.signal('SIGCONT'),
    async startStandby(wanted) {
      const other = postgresFolder('standby');
      runAsPostgres(
        other,
        'pg_basebackup',
        '-d',
        uri,
        '-D',
        join(other, 'data'),
        '-R',
        '-X',
        'stream',
        '-c',
        'fast',
        '--no-sync',
      );
      return runPostgres(other, wanted ?? (await freePort()));
    },
    promote: () => query('select pg_promote()'),
    async close() {
      await service.end('SIGINT'); // fast shutdown
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function startPgBouncer(server: PostgresServer, poolSize = 2): Promise<PgBouncer> {
  const folder = postgresFolder('pgbouncer');
  const port = await freePort();
  const config = join(folder, 'pgbouncer.ini');
  writeFileSync(
    config,
    `[databases]
* = host=127.0.0.1 port=${server.port} user=postgres password=secret
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
`,
  );
  const [, ...user] = asPostgres().command;
  const service = new Service([...user, '/usr/sbin/pgbouncer', config]);
  service.start();
  const uri = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  await until(
    'PgBouncer answers',
    async () => {
      const client = new Client({ connectionString: uri, connectionTimeoutMillis: 1_000 });
      await client.connect();
      await client.end();
      return true;
    },
    READY_DEADLINE_MS,
  ).catch((cause) => {
    throw new Error(service.output, { cause });
  });
  return {
    uri,
    async close() {
      await service.end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The embedded PostgreSQL as its pod runs it, on a data folder that is there already and a mounted Secret. `identity`: of setpriv. */
export async function servePostgres(
  data: string,
  secrets: string,
  identity: readonly string[],
): Promise<{ readonly port: number; readonly socketFolder: string; close(): Promise<void> }> {
  const port = await freePort();
  const command = [`${POSTGRES_BIN}/postgres`, ...postgresArguments({ data, secrets, sockets: data })];
  const forTest = ['-p', String(port), '-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1'];
  const service = new Service([...identity, ...toldOnChange([...command, ...forTest], secrets)]);
  service.start();
  const ready = () => execFileSync(`${POSTGRES_BIN}/pg_isready`, ['-h', data, '-p', String(port)], { stdio: 'pipe' });
  await until('PostgreSQL answers', ready, READY_DEADLINE_MS).catch((cause) => {
    throw new Error(service.output, { cause });
  });
  return { port, socketFolder: data, close: () => service.end('SIGINT') };
}

/** `config` makes the text of redis.conf for a data folder and a socket, both of which it must use. */
export async function startRedis(
  config = (data: string, socket: string) =>
    `port 0\ndir ${data}\nunixsocket ${socket}\nuser reader on nopass ~* &* +@all\n`,
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-redis-'));
  const data = join(folder, 'data');
  const socketPath = join(folder, 'redis.sock');
  const configPath = join(folder, 'redis.conf');
  mkdirSync(data);
  writeFileSync(configPath, config(data, socketPath));
  const service = new Service(['redis-server', configPath]);
  const start = async (): Promise<void> => {
    service.start();
    await until('Redis answers', () => answersPing(socketPath), READY_DEADLINE_MS).catch((cause) => {
      throw new Error(service.output, { cause });
    });
  };
  await start();
  return {
    folder,
    socketPath,
    get output() {
      return service.output;
    },
    kill: () => service.end('SIGKILL'),
    start,
    wipe() {
      rmSync(data, { recursive: true });
      mkdirSync(data);
    },
    async close() {
      await service.end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Also when it asks for a password; not while it loads. */
function answersPing(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', (reply) => resolve(/^(\+PONG|-NOAUTH)/.test(String(reply)))).on('data', () => socket.destroy());
    socket.on('error', () => {}).on('close', () => resolve(false));
  });
}
