/** `make demo`: the whole story on a cluster of its own, told as it goes, and left running. `make demo-down` ends it. */
import { join } from 'node:path';
import { binary, inLan } from '../cluster/cluster.ts';
import { NAMESPACE } from './farm.ts';
import {
  type Booted,
  balance,
  boot,
  bothBack,
  databaseAway,
  databaseBack,
  deviceName,
  killServing,
  macOf,
  openFarm,
  prepare,
  secondServer,
} from './steps.ts';

const STATE = join(import.meta.dirname, '../../.build/demo');
const firmware = process.env['UEFI'] ? 'uefi' : 'bios';
const began = performance.now();
const say = (line: string): void =>
  console.log(`  ${String(Math.round((performance.now() - began) / 1_000)).padStart(4)} s  ${line}`);
const title = (line: string): void => console.log(`\n== ${line}`);
const tell = ({ name, seconds, server }: Booted): void =>
  say(`${name} is up after ${seconds} s and streams from ${server}`);

title('a cluster of three nodes');
const farm = await prepare(STATE, say, { prefix: 'demo', network: '10.78.0' });

title('the operator, and a farm with one server');
await openFarm(farm);

title('a second server: kubectl scale bfs/main --replicas=2');
const { hashes, copies } = await secondServer(farm);
say(`both give the same bootstrap: ${[...new Set(hashes)].join(', ')}`);
for (const { server, state } of copies) say(`copy of lab on ${server}: ${state}`);

title('machines become known: bootfarm device add');
for (const number of [1, 2, 3]) await farm.addDevice(deviceName(number), macOf(number));

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

title('the database is taken away');
const { database } = await databaseAway(farm);
say(`Farm: database ${database?.state} since ${database?.offlineSince}`);
const third = await boot(farm, 3, firmware);
tell(third);
for (const { name, machine } of [first, second])
  say(`${name} goes on: up for ${Math.round((await machine.ask<{ uptimeSeconds: number }>('ping')).uptimeSeconds)} s`);
say(`database back; sessions: ${(await databaseBack(farm, [first, second, third])).join(', ')}`);

const kubectl = `${inLan(farm.cluster).join(' ')} ${binary('kubectl')} --kubeconfig ${farm.cluster.kubeconfig} -n ${NAMESPACE}`;
title('what to look at; all of it is left running');
console.log(`
  alias k='${kubectl}'
  k get bootfarm -o wide                       the four resources
  k get vd lab -o yaml                         status.copies: which server has which copy
  k get bfs main -o yaml                       status.servers: devices and load of each server
  k get events.events.k8s.io                   what happened
  k logs deploy/bootfarm -n bootfarm           the operator
  ${join(STATE, 'machines/*/console.log')}     consoles of the machines
  ${join(STATE, 'log')}                        logs of the cluster
  another machine: k exec into a server pod, node /app/dist/main.js device add --help; then run QEMU on bridge ${farm.cluster.bridge} of namespace ${farm.cluster.namespace}
  make demo-down                               removes every trace
`);
// The machines are children of this process and stay.
process.exit(0);
