/** Namespaces, the bridge and the cables: `<prefix>-lan` has the bridge, every node is a namespace on it. */
import { addNamespace } from '../setup/namespaces.ts';
import { type ClusterOptions, lanOf, nodesOf, runnerOf } from './plan.ts';
import { run } from './run.ts';

export function makeLan(options: ClusterOptions, bridge: string): void {
  const lan = lanOf(options);
  const ip = (...args: string[]): string => run('ip', '-n', lan, ...args);
  addNamespace(lan);
  ip('link', 'set', 'lo', 'up');
  ip('link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0');
  ip('address', 'add', `${runnerOf(options)}/24`, 'dev', bridge);
  ip('link', 'set', bridge, 'up');
  forward(lan);
}

/** A namespace whose eth0 is on the bridge by a cable that is called like the namespace there. */
export function connect(lan: string, bridge: string, namespace: string, addresses: readonly string[]): void {
  const ip = (...args: string[]): string => run('ip', '-n', namespace, ...args);
  addNamespace(namespace);
  ip('link', 'set', 'lo', 'up');
  run('ip', '-n', lan, 'link', 'add', namespace, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  run('ip', '-n', lan, 'link', 'set', namespace, 'master', bridge, 'up');
  for (const address of addresses) ip('address', 'add', address, 'dev', 'eth0', 'nodad');
  ip('link', 'set', 'eth0', 'up');
}

/** Every node knows the way to the pods of the others, and so does the runner. */
export function connectNodes(options: ClusterOptions, bridge: string): void {
  const lan = lanOf(options);
  const nodes = nodesOf(options);
  for (const { netns, address } of nodes) {
    connect(lan, bridge, netns, [`${address}/24`]);
    run('ip', '-n', netns, 'route', 'add', 'default', 'via', runnerOf(options));
    forward(netns);
  }
  for (const { netns, address, pods } of nodes)
    for (const from of [lan, ...nodes.map((node) => node.netns).filter((other) => other !== netns)])
      run('ip', '-n', from, 'route', 'add', `${pods}.0/24`, 'via', address);
}

/** Of the nodes, the DHCP server, the NAS and the bridge. */
export const namespacesOf = (options: ClusterOptions): string[] => [
  ...nodesOf(options).map((node) => node.netns),
  dhcpOf(options),
  nasOf(options),
  lanOf(options),
];

export const dhcpOf = ({ prefix }: ClusterOptions): string => `${prefix}-dhcp`;
export const nasOf = ({ prefix }: ClusterOptions): string => `${prefix}-nas`;

const forward = (namespace: string): string =>
  run('nsenter', `--net=/run/netns/${namespace}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
