/** A real NAS that hangs, dies and comes back: what the test's client of NFS is worth, and what a server with a store on it still does. Needs root. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { addDevices } from '../../src/database/devices.ts';
import type { Version } from '../../src/farm/model.ts';
import { patternMismatch } from '../../src/image/pattern/pattern.ts';
import { aBoot, aDevice, aSnapshot, aVDisk } from '../builders/farm.ts';
import { hangNas, killNas, mountAlone, type Nas, resumeNas, startNas } from '../cluster/nas.ts';
import { endProcesses, recordedNames } from '../cluster/processes.ts';
import { type ClientSession, StreamClient } from '../contract/stream-client.ts';
import { anImage, LoopbackFarm, must, type ServerProcess } from '../fakes/farm.ts';
import { addNamespace, removeNamespace } from '../setup/namespaces.ts';
import { until } from '../setup/time.ts';

/** errno(3); Node has no name for it. */
const ESTALE = 116;
const MOUNTED = 'mnt';
let root: string;
let nas: Nas;
let at: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'bootfarm-nas-'));
  nas = { stateDirectory: root, namespace: `bfnas-${process.pid}`, folder: join(root, 'vdisks') };
  at = join(root, MOUNTED);
  mkdirSync(at);
  addNamespace(nas.namespace);
  execFileSync('ip', ['-n', nas.namespace, 'link', 'set', 'lo', 'up']);
  await startNas(nas);
  await mountAlone(nas, at);
});
afterAll(async () => {
  execFileSync('umount', ['-l', at]);
  await endProcesses(root, recordedNames(root));
  removeNamespace(nas.namespace);
  rmSync(root, { recursive: true });
});

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const onNas = (name: string): string => join(nas.folder, name);
/** So that it is read from where it lies. */
const forget = (path: string): void =>
  void execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);

test('through the client files are what they are on the NAS, names appear once, and what is open is read on when it has none', async () => {
  const bytes = randomBytes((5 << 20) + 7);
  const made = await open(join(at, 'new.partial'), 'wx+');
  await made.write(bytes);
  await made.sync();
  await rename(join(at, 'new.partial'), join(at, 'new.raw'));
  expect(sha256(readFileSync(onNas('new.raw')))).toBe(sha256(bytes));
  expect(sha256(await readFile(join(at, 'new.raw')))).toBe(sha256(bytes));
  await expect(open(join(at, 'new.raw'), 'wx')).rejects.toThrow('EEXIST');
  await rm(join(at, 'new.raw'));
  expect((await readdir(at)).filter((name) => !name.startsWith('.nfs'))).toEqual([]);
  const { buffer } = await made.read(Buffer.alloc(bytes.length), 0, bytes.length, 0);
  expect(sha256(buffer)).toBe(sha256(bytes));
  await made.close();
  await until('its last name goes with it', async () => (await readdir(at)).length === 0);
  await mkdir(join(at, 'folder'));
  for (let file = 0; file < 500; file++) await writeFile(join(at, 'folder', `${file}`), '');
  expect(await readdir(join(at, 'folder'))).toHaveLength(500);
  await rm(join(at, 'folder'), { recursive: true });
});

test('it waits for a NAS that hangs or is started anew, unless it is killed, and says of a file that is no more that its handle is stale', async () => {
  const bytes = randomBytes(8 << 20);
  await writeFile(onNas('lab.raw'), bytes);
  await writeFile(onNas('stale'), 'x');
  const stale = await open(join(at, 'stale'));
  for (const [away, back] of [
    [async () => hangNas(nas), async () => resumeNas(nas)],
    [() => killNas(nas), () => startNas(nas)],
  ] as const) {
    forget(join(at, 'lab.raw'));
    await away();
    const reading = readFile(join(at, 'lab.raw'));
    const killed = spawn('stat', [join(at, 'folder')], { stdio: 'ignore' });
    // What the test is about; a read from the network takes some ms.
    expect(await Promise.race([reading.then(() => 'read'), delay(1_000, 'waits')])).toBe('waits');
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    await rm(onNas('stale'), { force: true });
    await back();
    expect(sha256(await reading)).toBe(sha256(bytes));
  }
  await expect(stale.stat().then(() => stale.read(Buffer.alloc(1), 0, 1, 0))).rejects.toMatchObject({ errno: -ESTALE });
  await stale.close();
  await rm(onNas('lab.raw'));
});

const MACS = { local: '52:54:00:00:00:01', nas: '52:54:00:00:00:02' } as const;
/** So many reads are under way at once of a machine that starts. */
const UNDER_WAY = 32;
const READ_BYTES = 32_768;
const IMAGE_BYTES = 32 << 20;
/** Of a machine that others use, too. */
const PATIENCE_MS = 60_000;

/** The server, in the middle of what it is asked. */
class Site {
  readonly farm: LoopbackFarm;
  server: ServerProcess;
  readonly #clients: StreamClient[] = [];

  private constructor(farm: LoopbackFarm, server: ServerProcess) {
    this.farm = farm;
    this.server = server;
  }

  static async open(): Promise<Site> {
    const farm = await LoopbackFarm.start();
    const folders = { local: farm.path('stores/local'), nas: at };
    mkdirSync(folders.local, { recursive: true });
    const config = await farm.config('node-a');
    const roots = { ...config, storeRoots: [...config.storeRoots, at] };
    const site = new Site(farm, farm.serve(roots));
    const names = ['local', 'nas'] as const;
    const versions = names.map(
      (name): Version => ({
        ...anImage(name === 'nas' ? nas.folder : folders[name], 0, { sizeBytes: IMAGE_BYTES }),
        vdisk: name,
      }),
    );
    const farmId = await farm.project(
      aSnapshot({
        sites: [{ name: 'default', boot: aBoot({ http: { enabled: true, port: config.ports.http } }) }],
        collections: names.map((name) => ({
          ...{ name, site: 'default', vdisk: name, class: 'Production', template: {} },
        })),
        stores: names.map((name) => ({ name, pools: [], servers: [], local: { path: folders[name], nodes: {} } })),
        vdisks: names.map((name) => aVDisk({ name, store: name })),
        versions,
        servers: [],
      }),
    );
    const devices = names.map((name) => aDevice({ name, collection: name, macs: [MACS[name]] }));
    must(await addDevices(farm.database, devices, { source: 'command', who: 'test' }));
    await site.server.ready(PATIENCE_MS);
    await farm.replicate(farmId);
    return site;
  }

  /** A server in its place, after SIGKILL. */
  async startAnew(): Promise<void> {
    const { config } = this.server;
    await this.server.end('SIGKILL');
    this.server = this.farm.serve(config);
    await this.server.ready(PATIENCE_MS);
  }

  async boot(machine: keyof typeof MACS): Promise<ClientSession> {
    const answer = await this.server.http(`/boot/config?mac=${MACS[machine]}`);
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    const token = Buffer.from(/^token=(.*)$/m.exec(text)?.[1] ?? '', 'base64url');
    const client = await StreamClient.open();
    this.#clients.push(client);
    return client.attach(this.server.stream, await client.login(this.server.stream, token, { redirected: true }));
  }

  /** So many copies. */
  async serves(copies: number): Promise<void> {
    const served = (): Promise<number> => this.server.metric('bootfarm_server_served_copies');
    await until(`${copies} served`, async () => (await served()) === copies, PATIENCE_MS);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.farm.close();
  }

  async storeState(name: string): Promise<string> {
    const { stores } = await this.server.status();
    const found = stores.find((store) => store.name === name);
    return `${found?.state}: ${found?.message}`;
  }
}

const right = async (session: ClientSession, offset: number): Promise<boolean> =>
  patternMismatch(await session.read(offset, READ_BYTES), offset) === undefined;

/** Of the store that answers: what no machine notices. */
const LONGEST_MS = 1_000;
/** The store is looked at again and again, and its answer waited for. */
const SAID_MS = 10_000;

test('a NAS hangs while machines read from it, and again, and the server is killed meanwhile: all else is served, the store says so, and goes on when it returns', async () => {
  const site = await Site.open();
  try {
    await site.serves(2);
    for (const isKilled of [false, true]) {
      const [local, shared] = [await site.boot('local'), await site.boot('nas')];
      expect([await right(local, 0), await right(shared, 0)]).toEqual([true, true]);
      forget(join(at, 'lab.raw'));
      hangNas(nas);
      const began = performance.now();
      for (let read = 1; read <= UNDER_WAY; read++)
        shared.send(shared.packet({ type: 'READ', offset: read * READ_BYTES, length: READ_BYTES, hedged: false }));
      const readMs: number[] = [];
      await until('the store says so', async () => {
        forget(join(site.farm.path('stores/local'), 'lab.raw'));
        const asked = performance.now();
        if (!(await right(local, (readMs.length % 512) * READ_BYTES))) readMs.push(Number.POSITIVE_INFINITY);
        readMs.push(performance.now() - asked);
        return (await site.storeState('nas')).startsWith('Unreachable');
      });
      expect(performance.now() - began).toBeLessThan(SAID_MS);
      expect(Math.max(...readMs)).toBeLessThan(LONGEST_MS);
      expect((await site.server.telemetry('/healthz')).status).toBe(200);
      if (isKilled) {
        await site.startAnew();
        await site.serves(1);
      }
      expect(await right(await site.boot('local'), IMAGE_BYTES / 2)).toBe(true);
      resumeNas(nas);
      await site.serves(2);
      expect(await right(isKilled ? await site.boot('nas') : shared, IMAGE_BYTES / 2)).toBe(true);
      expect(await site.storeState('nas')).toMatch(/^Accessible/);
    }
  } finally {
    resumeNas(nas);
    await site.close();
  }
});
