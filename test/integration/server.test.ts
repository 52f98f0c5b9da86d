/**
 * The server role as its own process, configured as the operator does it, with a real database, replica and disk files: what it says of itself,
 * whom it serves, what it does not serve, and how it leaves. Tests go on from each other: one server lives from the second to the last.
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readlink } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { deviceCommand } from '../../src/commands/device.ts';
import { addDevices, listDevices, removeDevice } from '../../src/database/devices.ts';
import { sessions } from '../../src/database/servers.ts';
import { decode, encode, type Packet } from '../../src/dhcp/packet.ts';
import type { Boot } from '../../src/farm/bootrecord.ts';
import type { FarmSnapshot, Store, Version } from '../../src/farm/model.ts';
import { sealBootToken } from '../../src/farm/token.ts';
import { patternMismatch } from '../../src/image/pattern/pattern.ts';
import type { Mode, Role } from '../../src/stream/packet.ts';
import { aBoot, aDevice, aSnapshot, aVDisk } from '../builders/farm.ts';
import { aRequest, PC_MAC } from '../builders/pxe.ts';
import { metricFaults, serverTable } from '../check/metrics.ts';
import { type ClientSession, StreamClient } from '../contract/stream-client.ts';
import { ADDRESS, anImage, LoopbackFarm, must, type ServerProcess } from '../fakes/farm.ts';
import { fakeTerminal } from '../fakes/terminal.ts';
import { until } from '../setup/time.ts';

const UNKNOWN_MAC = '52:54:00:00:00:99';

let farm: LoopbackFarm;
let a: ServerProcess;
let b: ServerProcess;
let httpPort: number;
let versions: Version[] = [];
let images: string;
let client: StreamClient;
let session: ClientSession;

const aStore = (name: string, path: string): Store => ({ name, pools: [], servers: [], local: { path, nodes: {} } });
const snapshot = (more: Partial<FarmSnapshot> = {}): FarmSnapshot =>
  aSnapshot({
    sites: [{ name: 'default', boot: aBoot({ http: { enabled: true, port: httpPort } }) }],
    stores: [
      aStore('images', images),
      aStore('gone', farm.path('stores/gone')),
      aStore('hung', farm.path('stores/hung')),
      aStore('elsewhere', '/elsewhere'),
    ],
    versions,
    servers: [],
    ...more,
  });

beforeAll(async () => {
  farm = await LoopbackFarm.start();
  images = farm.path('stores/images');
  for (const name of ['images', 'hung']) mkdirSync(farm.path(`stores/${name}`), { recursive: true });
  client = await StreamClient.open();
});
afterAll(async () => {
  client.close();
  await farm.close();
});

/** What the boot script gives the device of that MAC: its token. */
async function bootToken(server: ServerProcess, mac = PC_MAC): Promise<Buffer> {
  const answer = await server.http(`/boot/config?mac=${mac}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return Buffer.from(/^token=(.*)$/m.exec(text)?.[1] ?? '', 'base64url');
}

/** `redirected`: it stays here, wherever placement would send it. */
async function attached(server: ServerProcess, from = client, role: Role = 'serve'): Promise<ClientSession> {
  const ticket = await from.login(server.stream, await bootToken(server), { redirected: true });
  return from.attach(server.stream, ticket, { role });
}

/** As firmware does that was told the boot file by its site's DHCP server. */
function bootsByTftp(port: number, from = ADDRESS): void {
  const args = ['-sS', '--interface', from, '-o', '/dev/null', `tftp://${ADDRESS}:${port}/undionly.kpxe`];
  expect(spawnSync('curl', args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
}

/** Another machine, from an address of its own. */
async function visitor<T>(work: (visitor: StreamClient) => Promise<T>): Promise<T> {
  const from = await StreamClient.open();
  return work(from).finally(() => from.close());
}

/** What stands in the way of a machine, and at which step. */
const whyNot = async (asked: string): Promise<string> => {
  const { verdict } = await a.explain(farm.database, asked);
  return `${verdict.code} ${verdict.step}`;
};

/** `bootfarm device …` with the environment of a pod. */
async function inPod(environment: Record<string, string>, ...words: string[]): Promise<string> {
  const { terminal, said } = fakeTerminal();
  Object.assign(process.env, environment);
  try {
    await deviceCommand(terminal).parseAsync(words, { from: 'user' });
  } finally {
    for (const name of Object.keys(environment)) delete process.env[name];
  }
  return said.failed ? said.err : said.out;
}

const change = (text: string) => farm.database.run((db) => sql.raw(text).execute(db)).then(must);

/** The mode of a session that attaches now. */
const modeOf = (server: ServerProcess): Promise<Mode> =>
  visitor(async (from) => (await attached(server, from, 'standby')).mode);

/** A token as any server of the farm would seal it. */
const tokenFor = ({ number, content }: Version, ring = farm.ring): Uint8Array =>
  sealBootToken(ring, {
    device: 'pc0001',
    mac: PC_MAC,
    site: 'default',
    vdisk: 'lab',
    version: number,
    manifest: content?.manifest ?? '',
    expires: Math.floor(Date.now() / 1_000) + 600,
  });

test.each([
  { what: 'a port that is text', change: { ports: { stream: 'x' } }, says: '/ports/stream must be integer' },
  { what: 'a field that is missing', change: { site: undefined }, says: 'must have required properties site' },
  { what: 'a log level of another tool', change: { logLevel: 'verbose' }, says: '/logLevel' },
  { what: 'an interface that is not there', change: { interface: 'eth9' }, says: 'no IPv4 address for interface eth9' },
  { what: 'no folder of keys', change: { keysDirectory: '/nowhere' }, says: "farm's keys in /nowhere" },
  { what: 'no file of the database', change: { databaseUriFile: '/nowhere/uri' }, says: '/nowhere/uri: ENOENT' },
])('$what ends it with an error that names it', async ({ change, says }) => {
  const config = await farm.config('node-a');
  const ports = { ...config.ports, ...change.ports };
  const server = farm.serve({ ...config, ...change, ports });
  expect(await server.exited).toBe(1);
  expect(server.output).toContain(says);
  expect(server.output.trim().split('\n')).toHaveLength(1);
});

test('without the farm’s data it lives and is not ready, and says why; with it, it is ready', async () => {
  a = farm.serve(await farm.config('node-a'));
  httpPort = a.config.ports.http;
  await until('it answers', async () => (await a.telemetry('/healthz')).status === 200, 20_000);
  const reason = (): Promise<string> => a.telemetry('/readyz').then((answer) => answer.text());
  await until('it says why', async () => (await reason()).includes('holds no farm'));
  expect((await a.telemetry('/readyz')).status).toBe(503);
  expect(await a.status()).toMatchObject({ state: 'Starting', faults: [{ code: 'NotLoaded' }] });

  versions = [anImage(images, 0)];
  const farmId = await farm.project(snapshot());
  must(await addDevices(farm.database, [aDevice()], { source: 'command', who: 'test' }));
  await a.ready();
  await farm.replicate(farmId);
  expect(await a.status()).toMatchObject({
    name: 'node-a',
    address: ADDRESS,
    state: 'Streaming',
    faults: [],
    devices: 0,
  });
});

test('a device of the farm is told what it boots, logs in, and reads right blocks', async () => {
  await until('the copy is served', async () => (await a.metric('bootfarm_server_served_copies')) === 1);
  expect(metricFaults(await (await a.telemetry('/metrics')).text(), await serverTable())).toEqual([]);
  session = await attached(a);
  for (const [offset, length] of [
    [0, 512],
    [4_096, 65_536],
    [(1 << 20) - 512, 512],
  ] as const)
    expect(patternMismatch(await session.read(offset, length), offset)).toBeUndefined();
  await until('it is counted', async () => (await a.metric('bootfarm_server_devices')) === 1);
  expect(await a.metric('bootfarm_stream_reads_total')).toBeGreaterThanOrEqual(3);
  expect(await a.status()).toMatchObject({ devices: 1, booting: 1, loadPercent: 1 });
  await until('its session is a row', async () => must(await sessions(farm.database))[0]?.server === 'node-a');
});

test('a machine that the farm does not know gets not one packet, and no token', async () => {
  const socket = createSocket('udp4').bind(0, ADDRESS);
  await once(socket, 'listening');
  const heard: string[] = [];
  socket.on('message', (bytes) => {
    const packet = decode(bytes);
    heard.push(packet.ok ? Buffer.from(packet.value.chaddr).toString('hex') : packet.error.code);
  });
  const ask = (mac: string, type: 'DISCOVER' | 'REQUEST', port: number): void => {
    const packet: Packet = aRequest({ type }, { chaddr: Buffer.from(mac.replaceAll(':', ''), 'hex') });
    const bytes = encode(packet, 1_500);
    if (bytes.ok) socket.send(bytes.value, port, ADDRESS);
  };
  const { dhcp, pxe } = a.config.ports;
  ask(UNKNOWN_MAC, 'DISCOVER', dhcp);
  ask(UNKNOWN_MAC, 'REQUEST', pxe);
  const silent = 'bootfarm_boot_events_total{protocol="dhcp",event="silent"}';
  await until('both were decided', async () => (await a.metric(silent)) === 2);
  ask(PC_MAC, 'DISCOVER', dhcp);
  await until('a known one is answered', () => heard.length > 0);
  expect(heard).toEqual([PC_MAC.replaceAll(':', '')]);
  socket.close();

  for (const path of ['/boot', '/boot/config', '/boot/config.cpio', '/boot/file/lab/0/lab.vmlinuz'])
    await expect(a.http(`${path}?mac=${UNKNOWN_MAC}`)).rejects.toThrow('fetch failed');
  const forged = { current: 1, keys: new Map([[1, Buffer.alloc(32, 8)]]) };
  const login = client.login(a.stream, tokenFor(versions[0] as Version, forged));
  await expect(login).rejects.toMatchObject({ packet: { type: 'REFUSE', code: 'TokenInvalid' } });
});

test('a copy of another digest is not served, and the status says which it has', async () => {
  const wanted = anImage(images, 1, { offset: 4_096 });
  const held = anImage(images, 1, { offset: 8_192 });
  versions = [...versions, wanted];
  await farm.project(snapshot());
  const copy = await until('it was hashed', async () => {
    const { copies } = await a.status();
    return copies.find(({ version, state }) => version === 1 && state === 'Present');
  });
  expect(copy.manifest).toBe(held.content?.manifest);
  expect(await a.metric('bootfarm_server_served_copies')).toBe(1);
  await expect(client.login(a.stream, tokenFor(wanted))).rejects.toMatchObject({ packet: { type: 'REFUSE' } });

  anImage(images, 1, { offset: 4_096 });
  await until('the right one is served', async () => (await a.metric('bootfarm_server_served_copies')) === 2);
  await visitor(async (from) => {
    const other = await from.attach(a.stream, await from.login(a.stream, tokenFor(wanted)), { role: 'standby' });
    expect(patternMismatch(await other.read(0, 4_096), 4_096)).toBeUndefined();
  });
});

/** The path goes as it is written: no client makes it a good one. */
async function fetchFile(path: string, mac = PC_MAC): Promise<string> {
  const question = get({ host: ADDRESS, port: a.config.ports.http, path: `/boot/file/${path}?mac=${mac}` });
  const [answer] = await once(question, 'response');
  const body: Buffer[] = await answer.toArray();
  return `${answer.statusCode} ${Buffer.concat(body)}`;
}
const NO_FILE = /^404 no such file for this machine here/;

test('over HTTP a device gets kernel and initrd of its own version, and nothing else of all that lies there', async () => {
  expect(await fetchFile('lab/0/lab.vmlinuz')).toBe('200 kernel');
  expect(await fetchFile('lab/0/lab.initrd')).toBe('200 initrd');
  const names = [
    'lab.raw',
    'LAB.RAW',
    'lab.1.initrd',
    '..%2flab.raw',
    '%2e%2e%2flab.raw',
    '.%2flab.initrd',
    'lab.initrd%00',
  ];
  const tooMuch = [
    'lab/1/lab.1.raw',
    'lab/1/lab.1.initrd',
    'lab/00/lab.initrd',
    'lab/0x0/lab.initrd',
    'LAB/0/lab.initrd',
  ];
  for (const path of [...names.map((name) => `lab/0/${name}`), ...tooMuch])
    expect(await fetchFile(path)).toMatch(NO_FILE);
  for (const path of ['lab/0/../0/lab.raw', 'lab/0//lab.raw', '../file/lab/0/lab.raw', '%2e%2e/lab.raw'])
    expect(await fetchFile(path)).toMatch(/^404 /);
  expect(await fetchFile('lab/0/lab.initrd', '')).toMatch(NO_FILE);
});

test('a device that may not boot gets no file: of a disabled vDisk, of another site, disabled itself', async () => {
  const lyon = { name: 'lyon', site: 'lyon', vdisk: 'lab', class: 'Production', template: {} } as const;
  const { sites, collections, vdisks } = snapshot();
  const both = [...sites, { name: 'lyon', boot: aBoot() }];
  await farm.project(snapshot({ sites: both, collections: [...collections, lyon] }));
  const macs = { away: '52:54:00:00:00:31', off: '52:54:00:00:00:32' };
  const more = [
    aDevice({ name: 'pc-away', macs: [macs.away], collection: 'lyon' }),
    aDevice({ name: 'pc-off', macs: [macs.off], enabled: false }),
  ];
  must(await addDevices(farm.database, more, { source: 'command', who: 'test' }));
  for (const mac of Object.values(macs)) {
    await until('it is known', async () => (await a.http(`/boot/config?mac=${mac}`)).status === 403);
    expect(await fetchFile('lab/0/lab.initrd', mac)).toMatch(NO_FILE);
  }
  expect(await whyNot('pc-away')).toBe('OtherSite farm');
  expect(await whyNot('pc-off')).toBe('Disabled farm');
  await farm.project(snapshot({ vdisks: vdisks.map((vdisk) => ({ ...vdisk, enabled: false })) }));
  await until('the vDisk is disabled', async () => (await a.http(`/boot/config?mac=${PC_MAC}`)).status === 403);
  for (const name of ['lab.raw', 'lab.vmlinuz', 'lab.initrd'])
    expect(await fetchFile(`lab/0/${name}`)).toMatch(NO_FILE);
  expect(await whyNot('pc0001')).toBe('VDiskDisabled farm');
  for (const { name } of more) must(await removeDevice(farm.database, name, { source: 'command', who: 'test' }));
  await farm.project(snapshot());
  await until('all is as before', async () => (await a.http(`/boot/config?mac=${PC_MAC}`)).status === 200);
});

test('what stands in the way of a machine is explained from what the server heard', async () => {
  const names = ['pc-tftp', 'pc-http', 'pc-off'];
  const macs = ['52:54:00:00:00:41', '52:54:00:00:00:42', '52:54:00:00:00:43'];
  const devices = names.map((name, n) => aDevice({ name, macs: [macs[n] ?? ''] }));
  must(await addDevices(farm.database, devices, { source: 'command', who: 'test' }));
  const [silent = '', loads = ''] = macs;
  // Not where others ask from: who took a file by TFTP is let in by AutoAdd.
  const address = '127.0.0.2';
  const socket = createSocket('udp4').bind(0, address);
  await once(socket, 'listening');
  const asks = async (name: string, mac: string): Promise<void> => {
    const packet = encode(aRequest({}, { chaddr: Buffer.from(mac.replaceAll(':', ''), 'hex') }), 1_500);
    await until('it is offered a file', async () => {
      if (packet.ok) socket.send(packet.value, a.config.ports.dhcp, ADDRESS);
      return (await whyNot(name)) === 'TftpNeverAsked offer';
    });
  };
  await asks('pc-tftp', silent);
  socket.send(Buffer.from('\0\u0001undionly.kpxe\0octet\0'), a.config.ports.tftp, ADDRESS);
  await until('TFTP gives up', async () => (await whyNot('pc-tftp')) === 'TftpNeverAcknowledged tftp', 15_000);
  await asks('pc-http', loads);
  socket.close();
  bootsByTftp(a.config.ports.tftp, address);
  await until('it took the file', async () => (await whyNot('pc-http')) === 'HttpNeverAsked tftp');
  await a.http(`/boot?mac=${loads}`);
  expect(await whyNot('pc-http')).toBe('KernelNeverAsked script');
  expect(await fetchFile('lab/0/lab.vmlinux', loads)).toMatch(NO_FILE);
  expect(await whyNot('pc-http')).toBe('FileRefused kernel');
  expect(await whyNot('pc-off')).toBe('NeverHeard discover');
  expect(await whyNot(UNKNOWN_MAC)).toBe('UnknownMachine script');
  expect(await a.unknown()).toMatchObject([{ mac: UNKNOWN_MAC, architecture: 0, servers: ['node-a'] }]);

  for (let n = 0; n < 256; n++) await session.read(0, 512);
  await until('it runs', async () => (await whyNot('pc0001')) === 'Running running');
  const { boots } = await a.explain(farm.database, PC_MAC);
  const logins = boots.flatMap(({ steps }) => steps.filter(({ step }) => step === 'login'));
  expect(logins.map(({ reason }) => reason?.code)).toEqual([undefined, 'NoCopy']);
  for (const { name } of devices) must(await removeDevice(farm.database, name, { source: 'command', who: 'test' }));
});

/** Reads on until that is so; each read must be right. */
async function readsUntil(what: string, is: () => Promise<boolean>, deadlineMs?: number): Promise<void> {
  const wrong: unknown[] = [];
  let at = 0;
  await until(
    what,
    async () => {
      at = (at + 8_192) % (1 << 20);
      const found = await session.read(at, 4_096).then(
        (bytes) => patternMismatch(bytes, at),
        (thrown) => thrown,
      );
      if (found !== undefined) wrong.push(found);
      return is();
    },
    deadlineMs,
  );
  expect(wrong).toEqual([]);
}
const serves = (copies: number) => async () => (await a.metric('bootfarm_server_served_copies')) === copies;
/** Whether the server still has a file open that was called so, and has no name now. */
const holdsDeleted = async (path: string): Promise<boolean> => {
  const folder = `/proc/${a.child.pid}/fd`;
  const open = await Promise.all(readdirSync(folder).map((fd) => readlink(join(folder, fd)).catch(() => '')));
  return open.includes(`${path} (deleted)`);
};

test.each<{ what: string; happens: (image: string) => void; mends?: (image: string) => void }>([
  {
    what: 'loses its initrd',
    happens: () => renameSync(join(images, 'lab.initrd'), join(images, 'kept')),
    mends: () => renameSync(join(images, 'kept'), join(images, 'lab.initrd')),
  },
  {
    what: 'has another kernel',
    happens: () => writeFileSync(join(images, 'lab.vmlinuz'), 'another'),
    mends: () => writeFileSync(join(images, 'lab.vmlinuz'), 'kernel'),
  },
  {
    what: 'has another image in the place of its own',
    happens: (image) => {
      renameSync(image, join(images, 'kept'));
      writeFileSync(image, Buffer.alloc(1 << 20));
    },
    mends: (image) => renameSync(join(images, 'kept'), image),
  },
  {
    what: 'has no image',
    happens: (image) => renameSync(image, join(images, 'kept')),
    mends: (image) => renameSync(join(images, 'kept'), image),
  },
])('a device reads on from a version that $what, and no machine boots it', async ({ happens, mends }) => {
  const image = join(images, 'lab.raw');
  for (let twice = 0; twice < 2; twice++) {
    happens(image);
    await readsUntil('it leaves service', serves(1));
    expect(await fetchFile('lab/0/lab.initrd')).toMatch(NO_FILE);
    mends?.(image);
    await readsUntil('it is served again', serves(2));
  }
});

test('a device reads on while its image is touched, and while the same bytes are renamed over it', async () => {
  const image = join(images, 'lab.raw');
  const hashed = (): number =>
    a.output.split('\n').filter((line) => /lab\.raw"/.test(line) && /file hashed/.test(line)).length;
  for (let twice = 0; twice < 2; twice++) {
    const before = hashed();
    utimesSync(image, twice, twice);
    await readsUntil('it is hashed', async () => hashed() === before + 1);
    await readsUntil('it is served', serves(2));
    copyFileSync(image, `${image}.new`);
    renameSync(`${image}.new`, image);
    await readsUntil('it is hashed', async () => hashed() === before + 2);
    await readsUntil(
      'the new file is served, and the old one gives its space back',
      async () => !(await holdsDeleted(image)),
    );
  }
});

test('an image that is written where it lies is no longer given out; its devices go on when it is right again', async () => {
  const image = join(images, 'lab.raw');
  for (let twice = 0; twice < 2; twice++) {
    appendFileSync(image, Buffer.alloc(512));
    await until('it leaves service', serves(1));
    await until('nothing is read', () =>
      session.read(0, 512).then(
        () => false,
        ({ packet }) => packet?.type === 'ERROR',
      ),
    );
    truncateSync(image, 1 << 20);
    await until('it is served again', serves(2));
    await until('it reads', () =>
      session.read(512, 512).then(
        (bytes) => patternMismatch(bytes, 512) === undefined,
        () => false,
      ),
    );
  }
});

/** A file system whose server never answers lies over the folder while `work` goes on; it ends when the descriptor is closed. */
async function whileHung(folder: string, work: () => Promise<void>): Promise<void> {
  const fuse = openSync('/dev/fuse', 'r+');
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  const mounted = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'hung', folder], {
    stdio: ['ignore', 'inherit', 'inherit', fuse],
  });
  try {
    expect(mounted.status).toBe(0);
    await work();
  } finally {
    spawnSync('umount', ['-l', folder]);
    closeSync(fuse);
  }
}
const storeOf = async (name: string) => (await a.status()).stores.find((store) => store.name === name);

test('a folder that hangs while its disks answer: who reads goes on, and no machine boots from it', async () => {
  for (let twice = 0; twice < 2; twice++) {
    await whileHung(images, async () => {
      await readsUntil('it is Unreachable', async () => (await storeOf('images'))?.state === 'Unreachable', 20_000);
      await readsUntil('it leaves service', serves(0));
      expect(await fetchFile('lab/0/lab.initrd')).toMatch(NO_FILE);
    });
    await readsUntil('it is served again', serves(2), 20_000);
  }
});

test('a store whose folder is not there, or may not be mounted, is its own fault alone', async () => {
  const { stores } = await a.status();
  expect(Object.fromEntries(stores.map(({ name, ...report }) => [name, report]))).toMatchObject({
    elsewhere: { state: 'Missing', message: expect.stringContaining('none of spec.storeRoots') },
    gone: { state: 'Missing', message: expect.stringContaining('stores/gone is not there') },
    hung: { state: 'Accessible', files: 0 },
    images: { state: 'Accessible', files: 6, message: '' },
  });
  expect((await a.telemetry('/readyz')).status).toBe(200);
});

test('with the database away another server becomes ready from its replica, and devices log in', async () => {
  await farm.postgres.kill();
  b = farm.serve(await farm.config('node-b'));
  await b.ready();
  await until('it serves both copies', async () => (await b.metric('bootfarm_server_served_copies')) === 2);
  await until('the loss was noticed', async () => (await b.metric('bootfarm_server_database_reachable')) === 0);
  await visitor(async (from) => {
    const other = await attached(b, from);
    expect(patternMismatch(await other.read(0, 4_096), 0)).toBeUndefined();
    await until(
      'the session waits in the journal',
      async () => (await b.metric('bootfarm_server_journal_entries')) > 0,
    );
  });
  await farm.postgres.start();
  await until('the test sees it too', () => farm.database.state.reachable, 30_000);
  await until('the journal is replayed', async () => (await b.metric('bootfarm_server_journal_entries')) === 0, 30_000);
});

test('a port of the Farm that the server was not started with is told, and takes nobody out of service', async () => {
  const { faults } = await b.status();
  expect(faults).toEqual([
    expect.objectContaining({ code: 'HttpPortDiffers', message: expect.stringContaining(String(httpPort)) }),
  ]);
  expect((await b.telemetry('/readyz')).status).toBe(200);
});

test('login servers are told as addresses; a name that does not resolve is left out and named, and takes nobody out of service', async () => {
  const port = a.stream.port;
  const named = ['localhost', 'gone.invalid', 'fd00::1'].map((host) => ({ host, port }));
  const boot = aBoot({ http: { enabled: true, port: httpPort }, loginServers: named });
  await farm.project(snapshot({ sites: [{ name: 'default', boot }] }));
  const told = async (): Promise<string> => (await a.http(`/boot/config?mac=${PC_MAC}`)).text();
  await until('it is told of the named one', async () => (await told()).includes(`servers=127.0.0.1:${port}\n`));
  const faults = async () => (await a.status()).faults.map(({ code, message }) => `${code} ${message.split(',')[0]}`);
  await until('both others are named', async () => (await faults()).length === 2); // a name server may take its time
  expect(await faults()).toEqual([
    'LoginServerUnusable boot.loginServers names gone.invalid',
    'LoginServerUnusable boot.loginServers names fd00::1',
  ]);
  expect((await a.telemetry('/readyz')).status).toBe(200);
  await farm.project(snapshot());
  await until('the list is empty again', async () => !(await told()).includes(`servers=127.0.0.1:${port}\n`));
  expect((await a.status()).faults).toEqual([]);
});

test('a change of the stream’s mode is taken up by the running server', async () => {
  expect(await modeOf(a)).toBe('Authenticated');
  const { farm: row } = snapshot();
  await farm.project(snapshot({ farm: { ...row, mode: 'Trusted' } }));
  await until('new sessions are Trusted', async () => (await modeOf(a)) === 'Trusted');
  expect((await a.telemetry('/readyz')).status).toBe(200);
  await farm.project(snapshot());
  await until('and Authenticated again', async () => (await modeOf(a)) === 'Authenticated');
  session = await attached(a);
});

test.each([
  {
    what: 'is disabled',
    take: () => change("update device set enabled = false where name = 'pc0001'"),
    give: () => change("update device set enabled = true where name = 'pc0001'"),
  },
  {
    what: 'is removed',
    take: async () => must(await removeDevice(farm.database, 'pc0001', { source: 'command', who: 'test' })),
    give: async () => must(await addDevices(farm.database, [aDevice()], { source: 'command', who: 'test' })),
  },
  {
    what: 'loses its vDisk, which is disabled',
    take: () => farm.project(snapshot({ vdisks: [aVDisk({ enabled: false })] })),
    give: () => farm.project(snapshot()),
  },
])(
  'a device that $what while it streams is Revoked within 10 s, wherever its ticket takes it, and lifted as soon',
  async ({ take, give }) => {
    await visitor(async (from) => {
      const ticket = await from.login(a.stream, await bootToken(a), { redirected: true });
      const here = await from.attach(a.stream, ticket, { role: 'serve' });
      expect(patternMismatch(await here.read(0, 512), 0)).toBeUndefined();
      await take();
      const revoked = { packet: { type: 'ERROR', code: 'Revoked' } };
      const may = (one: ClientSession) =>
        one.read(0, 512).then(
          () => true,
          () => false,
        );
      await until('it may not read', async () => !(await may(here)), 10_000);
      await expect(here.read(512, 512)).rejects.toMatchObject(revoked);
      const renewal = from.login(a.stream, ticket.ticket, { renews: ticket.sessionKey });
      await expect(renewal).rejects.toMatchObject({ packet: { type: 'REFUSE' } });
      await visitor(async (elsewhere) => {
        // b refuses the ATTACH when it knows already, and Revokes what it took before it knew
        const mayAtB = async () => {
          const there = await elsewhere.attach(b.stream, ticket, { role: 'serve' }).catch((thrown: unknown) => {
            expect(thrown).toMatchObject({ packet: { type: 'REFUSE', code: 'UnknownDevice' } });
          });
          return there !== undefined && may(there).finally(() => there.bye());
        };
        await until('nor elsewhere', async () => !(await mayAtB()), 10_000);
        await give();
        await until('it may read again', async () => (await may(here)) && (await mayAtB()), 15_000);
      });
      await from.login(a.stream, ticket.ticket, { renews: ticket.sessionKey });
      here.bye();
    });
  },
);

test('what was removed stays so while the database is away, and at a server that starts then', async () => {
  await visitor(async (from) => {
    const ticket = await from.login(a.stream, await bootToken(a), { redirected: true });
    must(await removeDevice(farm.database, 'pc0001', { source: 'command', who: 'test' }));
    await until('it may not', () => renewed().then((may) => !may), 10_000);
    await farm.postgres.kill();
    await b.end('SIGKILL');
    b = farm.serve(b.config);
    await b.ready();
    await until('the copies are served', async () => (await b.metric('bootfarm_server_served_copies')) === 2);
    await until('the loss was noticed', async () => (await b.metric('bootfarm_server_database_reachable')) === 0);
    expect([await renewed(a), await renewed(b)]).toEqual([false, false]);
    await farm.postgres.start();
    await until('the test sees it too', () => farm.database.state.reachable, 30_000);
    must(await addDevices(farm.database, [aDevice()], { source: 'command', who: 'test' }));
    await until('it may again', async () => (await renewed(a)) && (await renewed(b)), 10_000);

    async function renewed(at = a): Promise<boolean> {
      return from.login(at.stream, ticket.ticket, { renews: ticket.sessionKey }).then(
        () => true,
        () => false,
      );
    }
  });
});

test('a database that was emptied of sessions is told them again', async () => {
  session = await attached(a);
  await until('it is there', async () => must(await sessions(farm.database)).length === 1);
  await change('truncate session; delete from server');
  await until('it is there again', async () => must(await sessions(farm.database))[0]?.server === 'node-a', 15_000);
});

test('where the site adds unknown machines, one that two servers meet at once becomes one device and boots', async () => {
  const { farm: row, sites } = snapshot();
  const adds = sites.map((site) => ({ ...site, boot: { ...site.boot, unknownDevices: 'AutoAdd' } as const }));
  const autoAdd = { collection: 'room-101', namePrefix: 'pc', digits: 4, maxDevices: 1_000, maxPerMinute: 10 };
  await farm.project(snapshot({ sites: adds, farm: { ...row, autoAdd } }));
  await until('a question over HTTP alone adds nothing, and is told so', async () =>
    (await (await a.http(`/boot?mac=${UNKNOWN_MAC}`)).text()).includes('has not heard it by DHCP or TFTP'),
  );
  for (const { config } of [a, b]) bootsByTftp(config.ports.tftp);
  await until('it is known to both', () =>
    Promise.all([a, b].map((server) => bootToken(server, UNKNOWN_MAC))).then(([one, other]) => one && other),
  );
  expect(must(await listDevices(farm.database)).map(({ name, macs }) => [name, ...macs])).toEqual([
    ['pc0001', PC_MAC],
    ['pc0002', UNKNOWN_MAC],
  ]);
  await visitor(async (from) => {
    const ticket = await from.login(a.stream, await bootToken(a, UNKNOWN_MAC), { redirected: true });
    const added = await from.attach(a.stream, ticket, { role: 'serve' });
    expect(patternMismatch(await added.read(0, 4_096), 0)).toBeUndefined();
    added.bye();
    await until('it is gone', async () => (await a.metric('bootfarm_server_devices')) === 1);
  });
  must(await removeDevice(farm.database, 'pc0002', { source: 'command', who: 'test' }));
  await farm.project(snapshot());
});

test('a store whose folder hangs is Unreachable, and the rest is looked at, ready and served on', async () => {
  await whileHung(farm.path('stores/hung'), async () => {
    await until('it is Unreachable', async () => (await storeOf('hung'))?.state === 'Unreachable', 20_000);
    expect((await storeOf('hung'))?.message).toContain('did not answer');
    // Two versions, one after the other: each must be found by a later look.
    for (const number of [2, 3]) {
      versions = [...versions, anImage(images, number, { offset: number * 4_096 })];
      await farm.project(snapshot());
      await until(
        `version ${number} is served`,
        async () => (await a.metric('bootfarm_server_served_copies')) > number,
        15_000,
      );
      expect((await a.telemetry('/readyz')).status).toBe(200);
    }
    expect(patternMismatch(await session.read(4_096, 4_096), 4_096)).toBeUndefined();
  });
  await until('it is well again', async () => (await storeOf('hung'))?.state === 'Accessible');
});

test('SIGTERM: its device is told where to go, it waits for that, and ends with 0', async () => {
  await until('the servers know each other', async () => {
    const { servers } = await session.list();
    return servers.length === 2 && servers.every(({ state }) => state === 'Streaming');
  });
  const moved = new Promise<unknown>((resolve) =>
    client.listen(({ packet }) => packet.type === 'MOVE' && packet.session === session.id && resolve(packet.server)),
  );
  a.child.kill('SIGTERM');
  expect(await moved).toEqual({ ...b.stream, state: 'Streaming' });
  await until('it says so', async () => (await (await a.telemetry('/readyz')).text()).includes('draining'));
  expect(await a.status()).toMatchObject({ state: 'Draining', devices: 1 });
  expect(patternMismatch(await session.read(4_096, 4_096), 4_096)).toBeUndefined();
  expect(a.child.exitCode).toBeNull();
  session.bye();
  expect(await a.exited).toBe(0);
  const { stateDirectory, replicaSocket } = a.config;
  const own = { BOOTFARM_STATE: stateDirectory, BOOTFARM_REPLICA_SOCKET: replicaSocket };
  const explained = JSON.parse(await inPod(own, 'explain', PC_MAC, '-o', 'json'));
  expect(explained).toMatchObject({ device: 'pc0001', verdict: { code: expect.any(String) }, silent: [] });
  expect(explained.boots.flatMap(({ steps }: Boot) => steps.map(({ step }) => step))).toEqual(
    expect.arrayContaining(['login', 'attach', 'end']),
  );
  const elsewhere = { BOOTFARM_DATABASE_URI: farm.postgres.uri };
  expect(await inPod(elsewhere, 'unknown')).toMatch(/servers tell it the operator alone/);
});
