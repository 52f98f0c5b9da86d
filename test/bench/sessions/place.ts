/** Two namespaces with a cable between them: a server on one processor, and behind a router's prefix 65,536 addresses of devices on the other. */
import { execFileSync } from 'node:child_process';
import { addNamespace, deleteNamespace } from '../../setup/namespaces.ts';
import type { Place } from '../stream/rig.ts';

/** Of the server, and of every device. */
export const PORT = 6_910;
const [SERVER, ROUTER, PREFIX] = ['10.199.0.1', '10.199.0.2', '10.200.0.0/16'];

/** The address of a device as it lies in memory: 10.200.x.y. */
export const addressOf = (device: number): number => 10 | (200 << 8) | ((device >> 8) << 16) | ((device & 0xff) << 24);

export function crowdPlace(): Place {
  const [server, client] = [`bfbench-s-${process.pid}`, `bfbench-c-${process.pid}`];
  const ip = (...args: string[]): void => {
    execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  addNamespace(server);
  addNamespace(client);
  ip('-n', server, 'link', 'add', 'eth0', 'mtu', '1500', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', client);
  for (const [name, address] of [
    [server, SERVER],
    [client, ROUTER],
  ] as const) {
    ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', server, 'route', 'add', PREFIX, 'via', ROUTER);
  ip('-n', client, 'route', 'add', 'local', PREFIX, 'dev', 'lo');
  return {
    name: 'veth',
    host: SERVER,
    server: ['ip', 'netns', 'exec', server, 'taskset', '--cpu-list', '0'],
    client: ['ip', 'netns', 'exec', client, 'taskset', '--cpu-list', '1'],
    close: () => {
      deleteNamespace(server);
      deleteNamespace(client);
    },
  };
}

/** UDP packets that a full receive buffer of that side dropped, since the namespace is there. */
export function bufferDrops(before: readonly string[]): number {
  const [program = '', ...args] = [...before, 'cat', '/proc/net/snmp'];
  const [names = [], values = []] = execFileSync(program, args, { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('RcvbufErrors')]);
}
