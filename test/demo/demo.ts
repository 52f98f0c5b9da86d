/**
 * `make demo`: the whole story on a cluster of its own, told as it goes, and left running. `make demo-down` ends it. CLUSTER=existing plays on the
 * cluster of the current kubeconfig: with IMAGE its nodes pull that one, with BRIDGE machines are plugged into a bridge of this machine. Told again
 * over a demo that runs, it switches its machines off and begins with one server.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DemoFarm, NAMESPACE, OPERATOR_NAMESPACE, STORE_FOLDER } from './farm.ts';
import { existingSite, OWN_IMAGE, type OwnSite } from './site.ts';
import {
  type Booted,
  balance,
  boot,
  bothBack,
  databaseAway,
  databaseBack,
  deviceName,
  diskFolder,
  killServing,
  macOf,
  openFarm,
  prepare,
  secondServer,
  switchOff,
} from './steps.ts';
import { makeVersion, release, releaseOf, updateDisk, versionIn } from './versions.ts';

const { CLUSTER, IMAGE = OWN_IMAGE, BRIDGE } = process.env;
const STATE = join(import.meta.dirname, '../../.build/demo');
const firmware = process.env['UEFI'] ? 'uefi' : 'bios';
const began = performance.now();
const say = (line: string): void =>
  console.log(`  ${String(Math.round((performance.now() - began) / 1_000)).padStart(4)} s  ${line}`);
const title = (line: string): void => console.log(`\n== ${line}`);
const tell = ({ name, seconds, server }: Booted): void =>
  say(`${name} is up after ${seconds} s and streams from ${server}`);

async function existing(): Promise<DemoFarm> {
  title('the cluster of the current kubeconfig');
  mkdirSync(STATE, { recursive: true });
  const found = new DemoFarm(await existingSite(STATE, IMAGE, BRIDGE), say);
  say(`nodes ${found.site.nodes.map(({ name }) => name).join(', ')}; image ${IMAGE}`);
  await switchOff(STATE, say);
  await found.placeDisk(diskFolder());
  say(`the disk of the machines is in ${STORE_FOLDER} of each node`);
  return found;
}

async function own(): Promise<DemoFarm<OwnSite>> {
  title('a cluster of three nodes');
  return prepare(STATE, say, { prefix: 'demo', network: '10.78.0' });
}

/** A version is made on one node, git releases it, and the next machine boots it. */
async function newVersion(farm: DemoFarm<OwnSite>): Promise<Booted> {
  const [one, two] = (await farm.streaming()).map(({ name }) => name) as [string, string];
  title('a new version: bootfarm vdisk new-version lab --from updated.raw, in the container `work` of a server');
  await updateDisk(farm, one, join(diskFolder(), 'lab.raw'));
  for (const line of (await makeVersion(farm, one)).trim().split('\n')) say(line);
  await release(farm, [0, 1]);
  await versionIn(farm, 'Default', 1);
  say(`released; ${two} took its files from ${one}: it is what machines boot from now on`);
  return boot(farm, 3, firmware);
}

/** What to look at, and how it ends. */
function farewell({ site }: DemoFarm): never {
  title('what to look at; all of it is left running');
  const { lan, stateDirectory } = site;
  const where = lan?.namespace === undefined ? '' : ` of namespace ${lan.namespace}`;
  console.log(`
  alias k='${site.kubectl.join(' ')} -n ${NAMESPACE}'
  k get bootfarm -o wide                       the four resources
  k get vd lab -o yaml                         status.copies: which server has which copy
  k get bfs main -o yaml                       status.servers: devices and load of each server
  k get events.events.k8s.io                   what happened
  k logs deploy/bootfarm -n ${OPERATOR_NAMESPACE}           the operator
  alias bootfarm='${site.desk.join(' ')}'
  bootfarm status                              the farm as a person at a desk sees it: -h has the other words
  bootfarm console${lan?.namespace === undefined ? '' : ' --plain-address'}                             the console: open what it prints in a browser${where}
  ${join(stateDirectory, 'machines/*/console.log')}     consoles of the machines
  ${CLUSTER === 'existing' ? '' : `${join(stateDirectory, 'log')}                        logs of the cluster\n  `}another machine: bootfarm device add --help; then ${lan ? `run QEMU on bridge ${lan.bridge}${where}` : 'switch on one in the network of the nodes'}
  ${CLUSTER === 'existing' ? 'CLUSTER=existing make demo-down' : 'make demo-down                 '}              removes every trace
`);
  // The machines are children of this process and stay.
  process.exit(0);
}

const ours = CLUSTER === 'existing' ? undefined : await own();
const farm: DemoFarm = ours ?? (await existing());

title('the operator, and a farm with one server');
await openFarm(farm);

title('a second server: kubectl scale bfs/main --replicas=2');
const { hashes, copies, states } = await secondServer(farm);
say(`both give the same bootstrap: ${[...new Set(hashes)].join(', ')}`);
for (const { server, state } of copies) say(`copy of lab on ${server}: ${state}`);
say(`the second server took its copy from the first: ${states.join(', ')}`);

title('machines become known, from a desk: bootfarm device add');
for (const number of [1, 2, 3, 4]) await farm.addDevice(deviceName(number), macOf(number));

if (!farm.site.lan) {
  say('BRIDGE names none of this machine that the nodes are connected to: the story ends before the machines');
  farewell(farm);
}

title(`a machine with nothing but a network card (${firmware})`);
const first = await boot(farm, 1, firmware);
tell(first);

title('the server that streams to it is killed while it reads');
const { killed, report, now } = await killServing(farm, first.machine);
say(`${killed} killed, ${first.name} streams from ${now}`);
say(`${report.reads} reads, ${report.wrong} wrong, ${report.failed} failed; longest stall ${report.longestStallMs} ms`);
await bothBack(farm);
say(`${killed} is back`);

title('a second machine goes where there is less to do');
const second = await boot(farm, 2, firmware);
tell(second);
for (const [server, devices] of await balance(farm, 2)) say(`${server}: ${devices} devices`);

const booted = [first, second];
if (ours) {
  const third = await newVersion(ours);
  tell(third);
  for (const machine of [third, first]) say(`${machine.name} runs release ${await releaseOf(machine)} of the disk`);
  booted.push(third);
}

title('the database is taken away');
const { database } = await databaseAway(farm);
say(`Farm: database ${database?.state} since ${database?.offlineSince}`);
const fourth = await boot(farm, 4, firmware);
tell(fourth);
for (const { name, machine } of booted)
  say(`${name} goes on: up for ${Math.round((await machine.ask<{ uptimeSeconds: number }>('ping')).uptimeSeconds)} s`);
say(`database back; sessions: ${(await databaseBack(farm, [...booted, fourth])).join(', ')}`);

title('how it stands, from a desk: bootfarm status');
// It ends with 3 where something is not right, and says what.
const stands = await farm.desk('status').catch(({ stdout }: { readonly stdout: string }) => stdout);
for (const line of stands.trimEnd().split('\n')) say(line);

farewell(farm);
