/** The demo's story, step by step; `demo.ts` tells it, `test/e2e/farm.test.ts` asserts it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cutLink, loadImage, mendLink, startCluster } from '../cluster/cluster.ts';
import { startDhcp } from '../cluster/dhcp.ts';
import type { ClusterOptions } from '../cluster/plan.ts';
import { recordProcess } from '../cluster/processes.ts';
import { until } from '../cluster/run.ts';
import { type Machine, startMachine } from '../e2e/machine/machine.ts';
import { DemoFarm, type FarmStatus, type PoolStatus, type Say, STORE_FOLDER, type VDiskStatus } from './farm.ts';
import { endMachines, machineFolder } from './machines.ts';
import { type OwnSite, ownSite } from './site.ts';

const root = join(import.meta.dirname, '../..');
const MINUTE = 60_000;
/** Of a machine that reads: what it reads may hang for as long as a scene wants. */
const READS_MS = 5 * MINUTE;
/** Under TCG the firmware alone takes half of it. */
const BOOT_MS = 4 * MINUTE;
const READS_PER_SECOND = 100;
/** From the start of the reader to what happens to the server. */
const CALM_MS = 2_000;

export interface ReadReport {
  readonly reads: number;
  readonly wrong: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly longestStallMs: number;
}
export interface ClientStatus {
  readonly current: string;
  readonly standby: string;
  readonly failovers: number;
}
export interface Booted {
  readonly name: string;
  readonly machine: Machine;
  /** From power-on to the shell. */
  readonly seconds: number;
  /** The node of the server that it streams from. */
  readonly server: string;
}

/** Cluster, DHCP server, the image on the nodes, the disk in the store of the first, from which others take it; machines of an earlier run go. The image must be built: `make image`. */
export async function prepare(
  stateDirectory: string,
  say: Say,
  options: Partial<ClusterOptions> = {},
  diskOn: 'the first node' | 'every node' = 'the first node',
): Promise<DemoFarm<OwnSite>> {
  const cluster = await startCluster({ stateDirectory, ...options }, say);
  await switchOff(stateDirectory, say, cluster.namespace);
  await startDhcp(cluster);
  say('a plain DHCP server gives addresses on the bridge');
  await loadImage(cluster, join(root, '.build/image.tar'));
  say(`the image is on ${cluster.nodes.join(', ')}`);
  const farm = new DemoFarm(ownSite(cluster), say);
  await farm.placeDisk(diskFolder(), diskOn === 'every node' ? {} : { nodes: cluster.nodes.slice(0, 1) });
  say(`the disk of the machines is in ${STORE_FOLDER} of ${diskOn}`);
  return farm;
}

/** Machines of an earlier run: nobody may read from a disk that is placed again. */
export async function switchOff(stateDirectory: string, say: Say, namespace?: string): Promise<void> {
  const names = await endMachines(stateDirectory, namespace);
  if (names.length > 0) say(`switched off from the run before: ${names.join(', ')}`);
}

export const diskFolder = (): string =>
  execFileSync(join(root, 'target/demo/make-image'), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();

/** Operator and samples: one server, and all four resources Ready. */
export async function openFarm(farm: DemoFarm): Promise<void> {
  await farm.install();
  await farm.waitReady();
}

export interface Joined {
  readonly hashes: readonly (string | undefined)[];
  readonly copies: NonNullable<VDiskStatus['copies']>;
  /** What was told of its copy, as it came. */
  readonly states: readonly string[];
}

/** `kubectl scale`: the second server joins, nothing is typed on it, and it takes what it lacks from the first. */
export async function secondServer(farm: DemoFarm): Promise<Joined> {
  const [first] = await farm.streaming();
  await farm.scale(2);
  const states = new Set<string>();
  await until('an UpToDate copy on both servers', 3 * MINUTE, async () => {
    const { versions, copies = [] } = await farm.status<VDiskStatus>('vd/lab');
    for (const { server, state } of copies) if (server !== first?.name) states.add(state);
    return versions?.find(({ number }) => number === 0)?.upToDate === 2;
  });
  const hashes = (await farm.streaming()).map(({ bootstrapHash }) => bootstrapHash);
  return { hashes, copies: (await farm.status<VDiskStatus>('vd/lab')).copies ?? [], states: [...states] };
}

export const deviceName = (number: number): string => `pc${String(number).padStart(4, '0')}`;
export const macOf = (number: number): string => `52:54:00:b0:07:${number.toString(16).padStart(2, '0')}`;

/** Switches a machine on and waits for its shell. */
export async function boot(farm: DemoFarm, number: number, firmware: 'bios' | 'uefi' = 'bios'): Promise<Booted> {
  const { lan, stateDirectory } = farm.site;
  if (!lan) throw new Error('no machine can be plugged in from here');
  const name = deviceName(number);
  const start = performance.now();
  const machine = await startMachine({
    outlives: true,
    name,
    ...lan,
    mac: macOf(number),
    firmware,
    stateDirectory: machineFolder(stateDirectory, name),
  });
  recordProcess(stateDirectory, name, machine.pid);
  await machine.waitFor(/bootfarm: up /, BOOT_MS);
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  return { name, machine, seconds, server: await serverOf(farm, machine) };
}

export const client = (machine: Machine): Promise<ClientStatus> => machine.ask<ClientStatus>('status');

/** The node of the server that the machine streams from; the client tells it about once a second. */
export const serverOf = async (farm: DemoFarm, machine: Machine): Promise<string> =>
  farm.nodeAt(await until('a server in the status of the client', MINUTE, async () => (await client(machine)).current));

/** A stand-by is attached from the start; a new one needs a moment after a failover. */
export const withStandby = (machine: Machine): Promise<ClientStatus> =>
  until('a stand-by', MINUTE, async () => {
    const status = await client(machine);
    return status.standby !== '' && status.standby !== status.current ? status : undefined;
  }) as Promise<ClientStatus>;

/** Reads and checks blocks in the machine for so long, while something happens. */
export async function readWhile(
  machine: Machine,
  seconds: number,
  meanwhile: () => Promise<void>,
): Promise<ReadReport> {
  const report = machine.ask<ReadReport>(`read ${READS_PER_SECOND} ${seconds}`, seconds * 1_000 + MINUTE);
  await delay(CALM_MS);
  await meanwhile();
  return report;
}

/** Machines read and check blocks, again and again, until `meanwhile` is done; the figures of each. */
export async function readThrough<const M extends readonly Machine[]>(
  machines: M,
  meanwhile: () => Promise<void>,
): Promise<{ readonly [At in keyof M]: ReadReport }> {
  let isDone = false;
  const readers = machines.map(async (machine) => {
    const reports: ReadReport[] = [];
    while (!isDone || reports.length === 0) reports.push(await machine.ask<ReadReport>('read 100 3', READS_MS));
    const sum = (of: (report: ReadReport) => number) => reports.reduce((total, report) => total + of(report), 0);
    return {
      reads: sum(({ reads }) => reads),
      wrong: sum(({ wrong }) => wrong),
      failed: sum(({ failed }) => failed),
      perSecond: sum(({ perSecond }) => perSecond) / reports.length,
      longestStallMs: Math.max(...reports.map(({ longestStallMs }) => longestStallMs)),
    };
  });
  const happened = meanwhile().finally(() => {
    isDone = true;
  });
  const [reports] = await Promise.all([Promise.all(readers), happened]);
  return reports as { readonly [At in keyof M]: ReadReport };
}

export interface Killed {
  readonly killed: string;
  readonly report: ReadReport;
  readonly now: string;
}

/** SIGKILL to the server that streams to the machine, while it reads. */
export async function killServing(farm: DemoFarm, machine: Machine): Promise<Killed> {
  await withStandby(machine);
  const killed = await serverOf(farm, machine);
  const report = await readWhile(machine, 10, () => farm.killServer(killed));
  return { killed, report, now: await serverOf(farm, machine) };
}

/** The cable of the server that streams to the machine: no ICMP helps the client then. */
export async function cutServing(farm: DemoFarm<OwnSite>, machine: Machine): Promise<Killed> {
  await withStandby(machine);
  const killed = await serverOf(farm, machine);
  const report = await readWhile(machine, 10, async () => void cutLink(farm.site.cluster, killed));
  const now = await serverOf(farm, machine);
  mendLink(farm.site.cluster, killed);
  return { killed, report, now };
}

/** The kubelet starts what was killed again; the farm has both servers. */
export const bothBack = (farm: DemoFarm): Promise<unknown> =>
  until('both servers back', 2 * MINUTE, async () => (await farm.streaming()).length === 2);

/** Devices of each server as the StreamingServer's status shows them; it is written at most each 30 s. */
export async function balance(farm: DemoFarm, total: number): Promise<ReadonlyMap<string, number>> {
  let seen = new Map<string, number>();
  await until(`${total} devices in the status of the StreamingServer`, 2 * MINUTE, async () => {
    const { servers } = await farm.status<PoolStatus>('bfs/main');
    seen = new Map((servers ?? []).map(({ name, devices }) => [name, devices ?? 0]));
    return [...seen.values()].reduce((sum, devices) => sum + devices, 0) === total;
  });
  return seen;
}

/** PostgreSQL goes; the Farm says so, and since when. */
export async function databaseAway(farm: DemoFarm): Promise<FarmStatus> {
  await farm.stopDatabase();
  await until('the Farm says that its database is away', MINUTE, async () => {
    const { database } = await farm.status<FarmStatus>('farm/farm');
    return database?.state === 'Unreachable' && database.offlineSince !== undefined;
  });
  return farm.status<FarmStatus>('farm/farm');
}

/** PostgreSQL returns; the sessions of all running machines, the one that booted meanwhile too, are in it. */
export async function databaseBack(farm: DemoFarm, machines: readonly Booted[]): Promise<readonly string[]> {
  await farm.startDatabase();
  await until('the Farm says that its database answers', MINUTE, async () => {
    const { database } = await farm.status<FarmStatus>('farm/farm');
    return database?.state === 'Reachable';
  });
  return sessionsOf(farm, machines);
}

/** Each machine has a session in the database, of the server that it streams from. */
export async function sessionsOf(farm: DemoFarm, machines: readonly Booted[]): Promise<readonly string[]> {
  let sessions: readonly string[] = [];
  let wanted: readonly string[] = [];
  await until('the sessions in the database', MINUTE, async () => {
    wanted = await Promise.all(machines.map(async ({ name, machine }) => `${name} ${await serverOf(farm, machine)}`));
    sessions = await farm.sessions();
    return sessions.join() === wanted.toSorted().join();
  }).catch((error: unknown) => {
    throw new Error(`sessions are ${sessions.join(', ')}, and should be ${wanted.join(', ')}`, { cause: error });
  });
  return sessions;
}

export interface Rollout {
  /** Each server's one pod is of the new template and Ready, at the moment when `kubectl wait` came back. */
  readonly isDone: boolean;
  /** From the first moment when that was seen to be so until `kubectl wait` came back. */
  readonly lateMs: number;
}

/** A setting that servers take up by a new start: they drain and start one after the other. `kubectl wait` begins with it, as a pipeline does. */
export async function rollOut(farm: DemoFarm): Promise<Rollout> {
  const before = await farm.serverPods();
  const isDone = async (): Promise<boolean> => {
    const pods = await farm.serverPods();
    return (
      pods.length === before.length &&
      pods.every(({ ready, name }) => ready && before.every((old) => old.name !== name))
    );
  };
  await farm.kubectl('patch', 'bfs/main', '--type=merge', '--patch', '{"spec":{"powerRating":2}}');
  const seen = until('both servers run the new setting', 3 * MINUTE, isDone).then(() => performance.now());
  await farm.kubectl('wait', 'bfs/main', '--for=condition=Ready', '--timeout=180s');
  const backMs = performance.now();
  return { isDone: await isDone(), lateMs: Math.round(backMs - (await seen)) };
}
