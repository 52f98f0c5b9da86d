/**
 * All that a server needs of a farm, real and on loopback: its database, the replica's primary with a projector, a follower, keys, certificates
 * and a folder of images. Servers run as processes of their own, from a mounted configuration as the operator writes it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askingServer, OPERATOR_NAME } from '../../src/control/caller.ts';
import { makeCertificate } from '../../src/control/certificates.ts';
import { type ControlClient, controlClient } from '../../src/control/client.ts';
import type { ServerConfig } from '../../src/control/config.ts';
import type { ServerStatus } from '../../src/control/status.ts';
import { connect, type Database } from '../../src/database/connection.ts';
import { databaseData } from '../../src/database/data.ts';
import { migrate } from '../../src/database/migrate.ts';
import { vdiskCopies } from '../../src/database/pages.ts';
import { project } from '../../src/database/project.ts';
import type { UnknownMachine } from '../../src/farm/bootrecord.ts';
import type { Explanation } from '../../src/farm/explain.ts';
import { manifestDigest } from '../../src/farm/files.ts';
import type { FarmSnapshot, Version } from '../../src/farm/model.ts';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import type { Fault, Result } from '../../src/kit/result.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import { askBoots, askUnknown } from '../../src/operator/boots.ts';
import { explainMachine } from '../../src/operator/explain.ts';
import { PROCESS_ENV } from '../../src/reconcile/streamingserver/objects.ts';
import { type Projector, startProjector } from '../../src/replica/projector.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { inNamespace } from '../e2e/machine/run.ts';
import { freePorts } from '../setup/ports.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';
import { until } from '../setup/time.ts';
import { projectionOf, stateContent } from './database.ts';
import { type ReplicaServers, startReplica } from './replica.ts';

export const ADDRESS = '127.0.0.1';
const MAIN = join(import.meta.dirname, '../../src/main.ts');

export function must<T>(result: Result<T, Fault>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

async function portsOf<Name extends string>(names: readonly Name[]): Promise<Record<Name, number>> {
  const ports = await freePorts(names.length);
  return Object.fromEntries(names.map((name, index) => [name, ports[index]])) as Record<Name, number>;
}

export class LoopbackFarm {
  readonly folder = mkdtempSync(join(tmpdir(), 'bootfarm-server-'));
  readonly ring: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 7)]]) };
  readonly postgres: PostgresServer;
  readonly database: Database;
  readonly #replica: ReplicaServers;
  readonly #control: ControlClient;
  readonly #servers: ServerProcess[] = [];
  #projector: Projector | undefined;

  private constructor(postgres: PostgresServer, database: Database, replica: ReplicaServers, control: ControlClient) {
    this.postgres = postgres;
    this.database = database;
    this.#replica = replica;
    this.#control = control;
  }

  /** The database and the replica are empty until `project` and `replicate`. `names`: of the servers that may run. */
  static async start(names: readonly string[] = ['node-a', 'node-b']): Promise<LoopbackFarm> {
    const postgres = await startPostgres();
    must(await migrate(postgres.uri));
    const replica = await startReplica();
    const { authority } = replica;
    const operator = await makeCertificate(authority, { names: [OPERATOR_NAME], use: 'client' }, Date.now());
    const database = must(connect({ uri: postgres.uri }));
    const control = controlClient({ ca: authority.cert, ...operator });
    const farm = new LoopbackFarm(postgres, database, replica, control);
    mkdirSync(farm.path('keys'));
    writeFileSync(farm.path('keys/current'), '1\n');
    for (const [id, key] of farm.ring.keys) writeFileSync(farm.path(`keys/key-${id}`), key);
    for (const name of names) {
      mkdirSync(farm.path(name));
      const { cert, key } = await makeCertificate(authority, { names: [name], use: 'server' }, Date.now());
      const peer = await makeCertificate(authority, askingServer(name), Date.now());
      const files = {
        ...{ 'tls.crt': cert, 'tls.key': key, 'ca.crt': authority.cert, 'database-uri': postgres.uri },
        ...{ 'peer.crt': peer.cert, 'peer.key': peer.key },
      };
      for (const [file, text] of Object.entries(files)) writeFileSync(farm.path(`${name}/${file}`), text);
    }
    return farm;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** What the resources say, into the database; devices and servers stay as they are. */
  async project(snapshot: FarmSnapshot): Promise<string> {
    const { farmId } = must(await project(this.database, projectionOf(snapshot)));
    for (const { vdisk, number, content } of snapshot.versions)
      if (content) await stateContent(this.database, vdisk, number, content);
    return farmId;
  }

  /** From now on the follower holds what the database holds. */
  async replicate(farmId: string): Promise<void> {
    const options = { database: this.database, redis: this.#replica.redis, farmId, epoch: 1, log: silentLogger };
    const projector = startProjector(options);
    this.#projector = projector;
    const follows = (): boolean => projector.health.state === 'InSync' && projector.health.followers === 1;
    await until('the follower follows', follows, 20_000);
  }

  /** A configuration as `reconcile/streamingserver/objects.ts` writes it, on free ports. */
  async config(name: string, more: Partial<ServerConfig> = {}): Promise<ServerConfig> {
    return {
      name,
      farm: 'farm',
      lineage: '00112233aabbccdd',
      site: 'default',
      pool: 'main',
      powerRating: 1,
      limits: { maxDevices: 100, maxBooting: 50 },
      drainTimeoutSeconds: 20,
      storeRoots: [this.path('stores')],
      stateDirectory: this.path(`${name}/state`),
      ports: await portsOf(['stream', 'http', 'control', 'telemetry', 'dhcp', 'pxe', 'tftp']),
      replicaSocket: this.#replica.follower.socketPath,
      databaseUriFile: this.path(`${name}/database-uri`),
      keysDirectory: this.path('keys'),
      tlsDirectory: this.path(name),
      logLevel: 'info',
      ...more,
    };
  }

  serve(config: ServerConfig | object, place: ServerPlace = LOOPBACK): ServerProcess {
    const path = join(mkdtempSync(this.path('config-')), 'server.json');
    writeFileSync(path, JSON.stringify(config));
    const server = new ServerProcess(path, config as ServerConfig, this.#control, place);
    this.#servers.push(server);
    return server;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) await server.end('SIGKILL');
    await this.#control.close();
    await this.#projector?.close();
    await this.database.close();
    await this.#replica.close();
    await this.postgres.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** An image of the pattern, begun at `offset`, whole at once as a rename makes it; and the version that it is the content of: the base is in production. */
export function anImage(folder: string, version: number, { sizeBytes = 1 << 20, offset = 0 } = {}): Version {
  const stem = version === 0 ? 'lab' : `lab.${version}`;
  const contents = {
    [`${stem}.raw`]: patternBytes(offset, sizeBytes),
    [`${stem}.vmlinuz`]: Buffer.from('kernel'),
    [`${stem}.initrd`]: Buffer.from('initrd'),
  };
  const files = Object.entries(contents).map(([name, bytes]) => {
    writeFileSync(join(folder, `${name}.partial`), bytes);
    renameSync(join(folder, `${name}.partial`), join(folder, name));
    return { name, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  });
  const content = { manifest: manifestDigest(files), files };
  return { vdisk: 'lab', number: version, access: version === 0 ? 'Production' : 'Test', content };
}

/** Where a server runs, and its address there. In another namespace it reaches the database and its follower by UNIX sockets alone. */
export interface ServerPlace {
  readonly address: string;
  readonly namespace?: string;
}
const LOOPBACK: ServerPlace = { address: ADDRESS };

/** `bootfarm server` as a process that dies with the test. */
export class ServerProcess {
  readonly config: ServerConfig;
  readonly address: string;
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly #control: ControlClient;
  #output = '';

  constructor(path: string, config: ServerConfig, control: ControlClient, { address, namespace }: ServerPlace) {
    this.config = config;
    this.address = address;
    this.#control = control;
    const [command, ...enter] = inNamespace(namespace);
    this.child = spawn(command, [...enter, process.execPath, MAIN, 'server', '--config', path], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...PROCESS_ENV, NODE_ADDRESS: address },
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk;
      });
    this.exited = once(this.child, 'close').then(([code]) => code);
  }

  /** What it wrote to its log and to standard error. */
  get output(): string {
    return this.#output;
  }

  get stream() {
    return { host: this.address, port: this.config.ports.stream };
  }

  telemetry(path: string): Promise<Response> {
    return fetch(`http://${this.address}:${this.config.ports.telemetry}${path}`, {
      signal: AbortSignal.timeout(60_000),
    });
  }

  http(path: string): Promise<Response> {
    return fetch(`http://${this.address}:${this.config.ports.http}${path}`, { signal: AbortSignal.timeout(60_000) });
  }

  /** As the operator asks it. */
  async status(): Promise<ServerStatus> {
    const { name, ports } = this.config;
    return must(await this.#control.status({ name, address: this.address, port: ports.control }));
  }

  /** A machine explained by this server's word alone, as the operator asks it. */
  async explain(database: Database, asked: string): Promise<Explanation> {
    const { name, ports } = this.config;
    const place = { name, address: this.address, port: ports.control };
    const sources = {
      data: databaseData(database),
      copies: (vdisk: string) => vdiskCopies(database, vdisk),
      boots: (macs: readonly string[]) => askBoots(this.#control, [place], macs),
    };
    return must(await explainMachine(sources, asked, Date.now()));
  }

  /** Machines that it heard and the farm does not know. */
  async unknown(): Promise<readonly UnknownMachine[]> {
    const { name, ports } = this.config;
    const { machines } = await askUnknown(this.#control, [{ name, address: this.address, port: ports.control }]);
    return machines;
  }

  /** The value of one line of /metrics, its labels as they are printed. */
  async metric(line: string): Promise<number> {
    const text = await (await this.telemetry('/metrics')).text();
    return Number(
      text
        .split('\n')
        .find((found) => found.startsWith(`${line} `))
        ?.split(' ')
        .at(-1),
    );
  }

  async ready(deadlineMs = 20_000): Promise<void> {
    await until(
      `${this.config.name} is ready`,
      async () => (await this.telemetry('/readyz')).status === 200,
      deadlineMs,
    ).catch((cause: unknown) => {
      throw new Error(this.#output, { cause });
    });
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.exited;
  }
}
