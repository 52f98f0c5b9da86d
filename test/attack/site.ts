/**
 * What is attacked: a farm with two servers in namespaces of their own, on the ports that they have in the field, and machines that boot from it. All of it
 * runs in the namespace of the LAN, whose name and places `lan.ts` gives.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { addDevices, listDevices } from '../../src/database/devices.ts';
import { manifestDigest } from '../../src/farm/files.ts';
import { AUTO_ADD, type UnknownDevices } from '../../src/farm/model.ts';
import { aBoot, aSnapshot, aVDisk } from '../builders/farm.ts';
import { startMachine } from '../e2e/machine/machine.ts';
import { run } from '../e2e/machine/run.ts';
import { LoopbackFarm, must, type ServerProcess } from '../fakes/farm.ts';
import { until } from '../setup/time.ts';
import type { Ports } from './field.ts';
import type { Boot, ServerSeen } from './verdict.ts';

export const LAN = 'bfattack';
export const SERVERS = ['10.77.0.11', '10.77.0.12'] as const;
export const HONEST = { namespace: `${LAN}-3`, network: 1 };
export const ATTACKERS = [4, 5, 6].map((place, index) => ({
  ...{ namespace: `${LAN}-${place}`, address: `10.77.0.${10 + place}`, network: 2 + index },
}));
export const PLACES = 6;
export const PORTS: Ports = { stream: 6910, http: 8069, control: 6911, telemetry: 6912, dhcp: 67, pxe: 4011, tftp: 69 };

const HONEST_DEVICES = 100;
const ADDRESSES_OF_AN_ATTACKER = 32;
const DEVICES_OF_AN_ATTACKER = 3;
const MACHINE_MAC = '52:54:00:00:00:01';
/** The file system of the demo's image; the filler behind it only costs time to hash. */
const IMAGE_MIB = 512;
/** Of a server: it hashes the image. */
const START_MS = 60_000;
const BOOT_DEADLINE_MS = 180_000;

/** Of a machine of the demo's image. */
export const COMMAND_LINE = 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable';

const mac = (kind: number, number: number): string => `52:54:00:0${kind}:00:${number.toString(16).padStart(2, '0')}`;
const addressesOf = (network: number, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `10.77.${network}.${n + 1}`);

export const honestDevices = addressesOf(HONEST.network, HONEST_DEVICES).map((address, n) => ({
  address,
  mac: mac(1, n),
}));
export const attackersAddresses = ({ network }: { network: number }): string[] =>
  addressesOf(network, ADDRESSES_OF_AN_ATTACKER);
export const attackersMacs = ({ network }: { network: number }): string[] =>
  Array.from({ length: DEVICES_OF_AN_ATTACKER }, (_, n) => mac(network, n));

const DEVICES = [
  { name: 'machine', mac: MACHINE_MAC },
  ...honestDevices.map((device, n) => ({ name: `honest-${n}`, mac: device.mac })),
  ...ATTACKERS.flatMap((attacker) =>
    attackersMacs(attacker).map((mac, n) => ({ name: `own-${attacker.network}-${n}`, mac })),
  ),
];

export interface Site {
  readonly image: string;
  readonly servers: readonly ServerProcess[];
  /** What the servers are since the last call. */
  look(): Promise<ServerSeen[]>;
  deviceCount(): Promise<number>;
  unknownDevices(action: UnknownDevices): Promise<void>;
  close(): Promise<void>;
}

export async function openSite(): Promise<Site> {
  for (const [index] of SERVERS.entries()) await asNeighbour(`${LAN}-${index + 1}`, index);
  await addresses(HONEST.namespace, addressesOf(HONEST.network, HONEST_DEVICES), honestDevices[0]?.mac);
  for (const attacker of ATTACKERS)
    await addresses(attacker.namespace, attackersAddresses(attacker), attackersMacs(attacker)[0]);
  const farm = await LoopbackFarm.start();
  try {
    return await siteOf(farm);
  } catch (thrown) {
    await farm.close();
    throw thrown;
  }
}

async function siteOf(farm: LoopbackFarm): Promise<Site> {
  const images = farm.path('images');
  const content = await placeImage(images);
  const snapshotOf = (unknownDevices: UnknownDevices) => {
    const snapshot = aSnapshot({
      sites: [{ name: 'default', boot: aBoot({ unknownDevices, http: { enabled: true, port: PORTS.http } }) }],
      stores: [{ name: 'images', pools: [], servers: [], local: { path: images, nodes: {} } }],
      vdisks: [aVDisk({ overlayMiB: 64, commandLine: COMMAND_LINE })],
      versions: [{ vdisk: 'lab', number: 0, access: 'Production', content }],
      servers: [],
    });
    const autoAdd = { collection: 'room-101', namePrefix: 'added-', digits: 4, ...AUTO_ADD };
    return { ...snapshot, farm: { ...snapshot.farm, autoAdd } };
  };
  const farmId = await farm.project(snapshotOf('Ignore'));
  const devices = DEVICES.map(({ name, mac }) => ({
    name,
    macs: [mac],
    collection: 'room-101',
    enabled: true,
    properties: {},
  }));
  must(await addDevices(farm.database, devices, { source: 'command', who: 'test' }));
  await farm.replicate(farmId);
  const servers: ServerProcess[] = [];
  for (const [index, address] of SERVERS.entries()) {
    const name = index === 0 ? 'node-a' : 'node-b';
    writeFileSync(farm.path(`${name}/database-uri`), farm.postgres.socketUri);
    const limits = { maxDevices: DEVICES.length, maxBooting: 2 * DEVICES.length };
    const config = await farm.config(name, { ports: PORTS, storeRoots: [images], limits });
    servers.push(farm.serve(config, { address, namespace: `${LAN}-${index + 1}` }));
  }
  await Promise.all(servers.map((server) => server.ready(START_MS)));
  for (const server of servers)
    await until(
      `${server.config.name} serves its copy`,
      async () => (await server.metric('bootfarm_server_served_copies')) === 1,
      START_MS,
    );
  const looks = servers.map(lookAt);
  return {
    image: join(images, 'lab.raw'),
    servers,
    look: () => Promise.all(looks.map((look) => look())),
    deviceCount: async () => must(await listDevices(farm.database)).length,
    unknownDevices: async (action) => void (await farm.project(snapshotOf(action))),
    close: () => farm.close(),
  };
}

/** Devices of the farm before any attack. */
export const deviceTotal = DEVICES.length;

/** Neighbours are asked again within seconds, so that one who went silent is found out within a phase; packets to the other server are counted. */
async function asNeighbour(namespace: string, index: number): Promise<void> {
  const within = ['nsenter', `--net=/run/netns/${namespace}`] as const;
  const [command, ...enter] = within;
  const settings = { base_reachable_time_ms: 2_000, delay_first_probe_time: 1, gc_stale_time: 5 };
  for (const [name, value] of Object.entries(settings))
    await run(command, ...enter, 'sysctl', '-q', '-w', `net.ipv4.neigh.eth0.${name}=${value}`);
  for (const network of [HONEST.network, ...ATTACKERS.map((attacker) => attacker.network)])
    await run('ip', '-n', namespace, 'route', 'add', `10.77.${network}.0/24`, 'dev', 'eth0');
  const rules = `table ip attack {
  counter other {
  }
  chain out {
    type filter hook output priority 0
    ip daddr ${SERVERS[1 - index]} counter name other
  }
}
`;
  execFileSync(command, [...enter, 'nft', '-f', '-'], { input: rules });
}

/** Its card is the first device's: TFTP answers the machines of the farm, which it knows by the neighbour's MAC. */
async function addresses(namespace: string, all: readonly string[], mac: string | undefined): Promise<void> {
  const lines = all.map((address) => `address add ${address}/32 dev eth0\n`).join('');
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: `link set eth0 address ${mac}\n${lines}` });
}

/** Of the demo's image what a boot needs, and what it is by its digests. */
export async function placeImage(folder: string) {
  const made = execFileSync('target/demo/make-image', {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
  mkdirSync(folder, { recursive: true });
  const disk = join(folder, 'lab.raw');
  const copy = ['bs=1M', `count=${IMAGE_MIB}`, 'conv=sparse', 'status=none'];
  execFileSync('dd', [`if=${join(made, 'lab.raw')}`, `of=${disk}`, ...copy]);
  execFileSync('truncate', ['-s', `${IMAGE_MIB}M`, disk]); // dd leaves a hole at the end out
  for (const name of ['lab.vmlinuz', 'lab.initrd']) execFileSync('cp', [join(made, name), join(folder, name)]);
  const paths = ['lab.raw', 'lab.vmlinuz', 'lab.initrd'].map((name) => join(folder, name));
  const files = await Promise.all(
    paths.map(async (path) => ({ name: basename(path), sizeBytes: statSync(path).size, sha256: await sha256(path) })),
  );
  return { manifest: manifestDigest(files), files };
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Figures of one server; those that only grow are told since the last look. */
function lookAt(server: ServerProcess, index: number): () => Promise<ServerSeen> {
  const { name } = server.config;
  let before = { at: performance.now(), toOther: 0, crashes: 0, cpuMs: 0, drops: {} as Record<string, number> };
  return async () => {
    const { child } = server;
    const ended = child.exitCode !== null || child.signalCode !== null;
    const text = ended
      ? ''
      : await server
          .telemetry('/metrics')
          .then((answer) => answer.text())
          .catch(() => '');
    const metric = (line: string): number => metricOf(text, line);
    const now = {
      at: performance.now(),
      toOther: packetsToOther(`${LAN}-${index + 1}`),
      cpuMs: ended ? 0 : cpuMs(child.pid ?? 0),
      crashes: server.output.split('"code":"Crashed"').length - 1,
      drops: dropsOf(text),
    };
    const seen: ServerSeen = {
      ...{ name, ended, crashes: now.crashes - before.crashes },
      rssMiB: ended ? 0 : rssMiB(child.pid ?? 0),
      cpuPercent: Math.round((100 * (now.cpuMs - before.cpuMs)) / (now.at - before.at)),
      devices: metric('bootfarm_server_devices'),
      journalEntries: metric('bootfarm_server_journal_entries'),
      toOtherPerSecond: Math.round((1_000 * (now.toOther - before.toOther)) / (now.at - before.at)),
      drops: Object.fromEntries(
        Object.entries(now.drops)
          .map(([what, count]) => [what, count - (before.drops[what] ?? 0)] as const)
          .filter(([, count]) => count > 0),
      ),
    };
    before = now;
    return seen;
  };
}

const metricOf = (text: string, line: string): number =>
  Number(
    text
      .split('\n')
      .find((found) => found.startsWith(`${line} `))
      ?.split(' ')
      .at(-1) ?? 0,
  );

/** Of the stream, the boot events and the bad sources: what says that something was not answered. */
const dropsOf = (text: string): Record<string, number> =>
  Object.fromEntries(
    [
      ...text.matchAll(/^bootfarm_((?:stream_dropped|stream_answers|boot_events|udp_dropped)_total\{.*\}) (\d+)$/gm),
    ].map(([, labelled = '', count]) => [labelled.replaceAll(/_total|[{}"]|\w+=/g, ' ').trim(), Number(count)]),
  );

function packetsToOther(namespace: string): number {
  const text = execFileSync('nsenter', [`--net=/run/netns/${namespace}`, 'nft', 'list', 'counters'], {
    encoding: 'utf8',
  });
  return Number(/packets (\d+)/.exec(text)?.[1] ?? Number.NaN);
}

/** User and system, all threads; ticks are a hundredth of a second. */
const cpuMs = (pid: number): number =>
  10 *
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, 13)
    .reduce((sum, ticks) => sum + Number(ticks), 0);

const rssMiB = (pid: number): number =>
  Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);

/** A machine by PXE; nothing when the run ended before it. */
async function bootMachine(stateDirectory: string, over: AbortSignal): Promise<Boot | undefined> {
  const began = performance.now();
  const lan = { namespace: LAN, bridge: 'br0' };
  const machine = await startMachine({ name: 'attack', ...lan, mac: MACHINE_MAC, stateDirectory });
  try {
    const up = machine.waitFor(/bootfarm: up/, BOOT_DEADLINE_MS).then(
      () => Math.round((performance.now() - began) / 100) / 10,
      (thrown: unknown) => {
        if (!over.aborted) process.stderr.write(`${thrown}\n`);
        return 'never up' as const;
      },
    );
    return await Promise.race([up, once(over, 'abort').then(() => undefined)]);
  } finally {
    await machine.kill();
  }
}

/** One machine after the other, the next a minute after the one before or when that is up; each tells what became of it. */
export async function bootEachMinute(
  stateDirectory: string,
  over: AbortSignal,
  told: (boot: Boot) => void,
): Promise<void> {
  while (!over.aborted) {
    const next = performance.now() + 60_000;
    const boot = await bootMachine(stateDirectory, over);
    if (boot !== undefined) told(boot);
    await delay(Math.max(0, next - performance.now()), undefined, { signal: over }).catch(() => undefined);
  }
}
