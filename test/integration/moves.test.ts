/**
 * A vDisk that moves between stores while a device streams it: servers and their keepers as processes, on loopback, and the operator's own look at the VDisk, by the
 * real farm database. A offers the old store alone, B both, C the new one alone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ServerConfig } from '../../src/control/config.ts';
import { addDevices } from '../../src/database/devices.ts';
import { project, remove } from '../../src/database/project.ts';
import type { Moving } from '../../src/farm/model.ts';
import { sealBootToken } from '../../src/farm/token.ts';
import { patternBytes, patternMismatch } from '../../src/image/pattern/pattern.ts';
import { CopyRecord } from '../../src/operator/copies.ts';
import { readRows } from '../../src/operator/rows.ts';
import type { Context } from '../../src/reconcile/context.ts';
import { projectionOf } from '../../src/reconcile/projection.ts';
import { Quiet } from '../../src/reconcile/quiet.ts';
import { ordersOf } from '../../src/reconcile/streamingserver/wanted.ts';
import { vdiskMember } from '../../src/reconcile/vdisk/reconcile.ts';
import { seenServers } from '../../src/reconcile/vdisk/volumes.ts';
import type { Store, VDisk } from '../../src/resources/kinds.ts';
import type { ServerEntry } from '../../src/stream/packet.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { aDevice } from '../builders/farm.ts';
import { aPvp } from '../builders/pvs.ts';
import { PC_MAC } from '../builders/pxe.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { type ClientSession, StreamClient, type TicketFacts } from '../contract/stream-client.ts';
import { LoopbackFarm, must, type ServerProcess } from '../fakes/farm.ts';
import { until } from '../setup/time.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const NAMES = ['node-a', 'node-b', 'node-c'] as const;
type Name = (typeof NAMES)[number];
const OFFERS = { old: ['node-a', 'node-b'], fast: ['node-b', 'node-c'] } as const;
type StoreName = keyof typeof OFFERS;
const SIZE = 24 << 20;
const DEADLINE_MS = 120_000;

let farm: LoopbackFarm;
let client: StreamClient;
interface Started {
  readonly server: ServerProcess;
  readonly keeper: ChildProcess;
  readonly config: ServerConfig;
}
const servers = new Map<Name, Started>();
const copies = new CopyRecord();
let vdisk: VDisk = aVDisk({ spec: { storeRef: { name: 'old' } } });
let stores: Store[] = [];

const folder = (store: StoreName, name: Name): string => farm.path(`stores/${store}-${name}`);
const filesIn = (store: StoreName, name: Name): readonly string[] =>
  readdirSync(folder(store, name)).filter((file) => file.startsWith('lab'));
const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const ordersOn = (name: Name): string => farm.path(`${name}/orders.json`);
const serverOf = (name: Name): ServerProcess => (servers.get(name) as Started).server;

const storeOf = (name: StoreName): Store =>
  aStore({
    metadata: { name },
    spec: {
      servers: { names: [...OFFERS[name]] },
      local: { path: '/nowhere', nodes: OFFERS[name].map((node) => ({ name: node, path: folder(name, node) })) },
    },
  });

function put(store: StoreName, name: Name): void {
  const contents = {
    'lab.raw': patternBytes(0, SIZE),
    'lab.vmlinuz': Buffer.from('kernel'),
    'lab.initrd': Buffer.from('initrd'),
    'lab.pvp': aPvp({ version: 7 }),
  };
  for (const [file, bytes] of Object.entries(contents)) {
    const path = join(folder(store, name), file);
    writeFileSync(path, bytes);
    utimesSync(path, 1_700_000_000, 1_700_000_000);
  }
}

function keep({ name, stateDirectory, tlsDirectory, replicaSocket }: ServerConfig): ChildProcess {
  const words = [
    ...['work', '--folder', join(stateDirectory, 'work'), '--state', stateDirectory, '--tls', tlsDirectory],
    ...['--orders', ordersOn(name as Name)],
  ];
  const env = { ...process.env, BOOTFARM_REPLICA_SOCKET: replicaSocket };
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env });
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => process.env['LOUD'] && process.stderr.write(`${name} ${chunk}`));
  return child;
}

const projected = () =>
  project(farm.database, projectionOf({ farm: aFarm(), stores, vdisks: [vdisk], pools: [aStreamingServer()] })).then(
    must,
  );

/** One look of the operator, as its reconcilers take it; what it says is kept, as the status is. */
async function look(): Promise<VDisk> {
  const views = await Promise.all(
    [...servers].map(async ([name, { server }]) => {
      const status = await server.status().catch(() => undefined);
      return {
        ...{ name, site: 'default', pool: 'main', message: '' },
        reachable: status !== undefined,
        ...(status ? { status } : {}),
      };
    }),
  );
  const runtime = {
    ...{ servers: views, writes: farm.database, copies, asked: true },
    rows: () => readRows(farm.database),
    uses: async () => undefined,
  };
  const context = {
    informers: {
      farms: { get: () => aFarm(), list: () => [aFarm()] },
      stores: { list: () => stores },
      vdisks: { list: () => [vdisk] },
    },
    runtimes: { get: () => runtime },
    ...{ quiet: new Quiet(), record: () => undefined, log: silentLogger },
  } as unknown as Context;
  const { status } = await vdiskMember.observe(context, vdisk, vdisk, AbortSignal.timeout(10_000));
  vdisk = { ...vdisk, status };
  const now = Math.floor(Date.now() / 1_000);
  const ordered = ordersOf({ vdisks: [vdisk], stores }, undefined, now, () => true, seenServers(views));
  for (const name of NAMES) {
    writeFileSync(`${ordersOn(name)}.new`, JSON.stringify(ordered(name)));
    renameSync(`${ordersOn(name)}.new`, ordersOn(name));
  }
  return vdisk;
}

const conditionOf = (type: string) => vdisk.status.conditions?.find((condition) => condition.type === type);
async function movingNow(): Promise<Moving | undefined> {
  const rows = await readRows(farm.database);
  // Of a processor that others have it may be away for a moment.
  if (!rows) throw new Error('the database did not answer');
  return rows.places.get('lab')?.moving;
}

const looked = (what: string, is: () => boolean | Promise<boolean>): Promise<unknown> =>
  until(
    what,
    async () => {
      await look();
      return is();
    },
    DEADLINE_MS,
  ).catch((cause: unknown) => {
    throw new Error(JSON.stringify(vdisk.status, undefined, 1), { cause });
  });

async function moveTo(store: StoreName, movePolicy: VDisk['spec']['movePolicy'] = 'Retain'): Promise<void> {
  vdisk = { ...vdisk, spec: { ...vdisk.spec, movePolicy, storeRef: { name: store } } };
  await projected();
}

/** Reads all the time, each byte compared; goes where it is told to. */
class Machine {
  reads = 0;
  readonly failed: string[] = [];
  readonly moves: ServerEntry[] = [];
  readonly #ticket: TicketFacts;
  #session: ClientSession;
  #running = true;
  readonly #loop: Promise<void>;

  private constructor(ticket: TicketFacts, session: ClientSession) {
    this.#ticket = ticket;
    this.#session = session;
    client.listen(({ packet }) => {
      if (packet.type !== 'MOVE' || packet.session !== this.#session.id) return;
      if (this.moves.at(-1)?.port !== packet.server.port) this.moves.push(packet.server);
    });
    this.#loop = this.#read();
  }

  static async boot(server: ServerProcess, manifest: string): Promise<Machine> {
    const token = sealBootToken(farm.ring, {
      ...{ device: 'pc0001', mac: PC_MAC, site: 'default', vdisk: 'lab', version: 0, manifest },
      expires: Math.floor(Date.now() / 1_000) + 600,
    });
    const ticket = await client.login(server.stream, token, { redirected: true });
    return new Machine(ticket, await client.attach(server.stream, ticket));
  }

  get port(): number {
    return this.#session.server.port;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
    this.#session.bye();
  }

  async #read(): Promise<void> {
    while (this.#running) {
      const offset = 4_096 * (this.reads % (SIZE / 4_096));
      try {
        const next = this.moves.at(-1);
        if (next && next.port !== this.port) {
          const before = this.#session;
          this.#session = await client.attach(next, this.#ticket);
          before.bye();
        }
        const bytes = await this.#session.read(offset, 4_096);
        if (patternMismatch(bytes, offset) !== undefined) this.failed.push(`wrong data at ${offset}`);
      } catch (thrown) {
        this.failed.push(String(thrown));
      }
      this.reads++;
      // As a machine that works: it leaves the processor to who copies.
      await delay(5);
    }
  }
}

beforeAll(async () => {
  farm = await LoopbackFarm.start(NAMES);
  for (const [store, names] of Object.entries(OFFERS))
    for (const name of names) mkdirSync(folder(store as StoreName, name), { recursive: true });
  stores = [storeOf('old'), storeOf('fast')];
  for (const name of OFFERS.old) put('old', name);
  await farm.replicate((await projected()).farmId);
  must(await addDevices(farm.database, [aDevice({ macs: [PC_MAC] })], { source: 'command', who: 'test' }));
  for (const name of NAMES) {
    const config = await farm.config(name, { storeRoots: [farm.path('stores')] });
    for (const part of ['work', 'wants', 'chunks']) mkdirSync(join(config.stateDirectory, part), { recursive: true });
    servers.set(name, { server: farm.serve(config), config, keeper: keep(config) });
  }
  client = await StreamClient.open();
});
afterAll(async () => {
  client.close();
  for (const { keeper } of servers.values()) {
    const ended = once(keeper, 'exit');
    if (keeper.kill('SIGTERM')) await ended;
  }
  await farm.close();
});

test('it moves while a device reads: the new store gets all of it, the device is handed over, not one read fails, and the old files stay', async () => {
  await looked('it is whole in the old store', () => vdisk.status.upToDate === '2/2');
  const manifest = vdisk.status.versions?.[0]?.sha256 ?? '';
  const served = 'bootfarm_server_served_copies';
  await until('A serves it', async () => (await serverOf('node-a').metric(served)) === 1, DEADLINE_MS);
  const machine = await Machine.boot(serverOf('node-a'), manifest);
  const ready: unknown[] = [];
  const seen = new Set<string>();
  await moveTo('fast');
  expect(await movingNow()).toEqual({ from: ['old'] });
  await looked('it moved', async () => {
    ready.push(conditionOf('Ready')?.status);
    seen.add(conditionOf('Moving')?.reason ?? '');
    return (await movingNow()) === undefined;
  });
  await looked('the status says so', () => conditionOf('Moving') === undefined);
  expect(vdisk.status).toMatchObject({ store: 'fast', upToDate: '2/2' });
  expect(vdisk.status.movingFrom).toBeUndefined();
  expect(conditionOf('Reconciling')).toBeUndefined();
  expect(new Set(ready)).toEqual(new Set(['True']));
  expect(seen).toContain('Copying');
  const { reads } = machine;
  await until('it reads on where it went', () => machine.reads > reads + 50, DEADLINE_MS);
  await machine.stop();
  expect(machine.failed).toEqual([]);
  expect([serverOf('node-b').stream.port, serverOf('node-c').stream.port]).toContain(machine.port);
  for (const store of ['old', 'fast'] as const)
    for (const name of OFFERS[store]) {
      expect(filesIn(store, name).toSorted()).toEqual(['lab.initrd', 'lab.pvp', 'lab.raw', 'lab.vmlinuz']);
      expect(digestOf(join(folder(store, name), 'lab.raw'))).toBe(digestOf(join(folder('old', 'node-a'), 'lab.raw')));
    }
});

test('back, and what lay in the new store is given back, when the old one is proved to have all of it', async () => {
  await moveTo('old', 'Delete');
  const seen = new Set<string>();
  await looked('it is over', async () => {
    seen.add(conditionOf('Moving')?.reason ?? '');
    for (const { kind, server } of vdisk.status.work ?? []) seen.add(`${kind} ${server}`);
    return (await movingNow()) === undefined;
  });
  expect([...seen]).toEqual(expect.arrayContaining(['GivingBack', 'give-back node-b', 'give-back node-c']));
  for (const name of OFFERS.fast) expect(filesIn('fast', name)).toEqual([]);
  for (const name of OFFERS.old) expect(filesIn('old', name)).toHaveLength(4);
  await moveTo('fast');
  await looked('it is there again', async () => (await movingNow()) === undefined);
});

test('back and forth: what is there is not copied again, and a store that is removed is waited for no more', async () => {
  await moveTo('old');
  expect(await movingNow()).toEqual({ from: ['fast'] });
  await moveTo('fast');
  expect(await movingNow()).toEqual({ from: ['old'] });
  await looked('it is over', async () => (await movingNow()) === undefined);
  await serverOf('node-a').end('SIGKILL');
  rmSync(folder('old', 'node-b'), { recursive: true });
  for (const name of OFFERS.fast) rmSync(join(folder('fast', name), 'lab.raw'));
  await looked('it is lost', () => vdisk.status.versions?.[0]?.upToDate === 0);
  await moveTo('old');
  await moveTo('fast');
  await looked('it is said that it comes from nowhere', () => conditionOf('Moving')?.reason === 'FilesMissing');
  expect(conditionOf('Moving')?.message).toContain('bootfarm.io/confirm-delete');
  must(await remove(farm.database, 'store', 'old'));
  stores = stores.filter(({ metadata }) => metadata.name !== 'old');
  await looked('nobody waits for it', () => conditionOf('Moving') === undefined);
  expect(existsSync(join(folder('old', 'node-a'), 'lab.raw'))).toBe(true);
});
