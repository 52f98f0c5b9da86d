/** The test cluster: nodes, pods, services, names, host paths of each node's own, and nothing left afterwards. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writePauseImage } from '../cluster/archive.ts';
import {
  type Cluster,
  inLan,
  inNode,
  kubectl,
  loadImage,
  nodePath,
  openCluster,
  startCluster,
  stopCluster,
} from '../cluster/cluster.ts';
import { startDhcp } from '../cluster/dhcp.ts';
import { leftBehind, takeFootprint } from '../cluster/footprint.ts';
import { nodesOf } from '../cluster/plan.ts';
import { runAsync, until } from '../cluster/run.ts';
import { addNamespace } from '../setup/namespaces.ts';

const MINUTE = 60_000;
const IMAGE = 'bootfarm.local/busybox:test';
const before = takeFootprint();
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-cluster-'));
const stateDirectory = join(folder, 'state');
let cluster: Cluster;

/** A daemon on every node's own address that serves that node's /srv, and a service in front of daemons on the pod network. */
const manifest = (name: string, hostNetwork: boolean, port: number): object => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name },
  spec: {
    selector: { matchLabels: { name } },
    template: {
      metadata: { labels: { name } },
      spec: {
        hostNetwork,
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name,
            image: IMAGE,
            imagePullPolicy: 'Never',
            command: ['/bin/busybox', 'httpd', '-f', '-p', String(port), '-h', '/srv'],
            readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
            volumeMounts: [{ name: 'srv', mountPath: '/srv', mountPropagation: 'Bidirectional' }],
            securityContext: { privileged: true },
          },
        ],
        volumes: [{ name: 'srv', hostPath: { path: '/srv/vdisks', type: 'DirectoryOrCreate' } }],
      },
    },
  },
});

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'inner' },
  spec: { selector: { name: 'inner' }, ports: [{ port: 80, targetPort: 8081 }] },
};

async function apply(...objects: object[]): Promise<void> {
  const path = join(folder, 'manifest.json');
  writeFileSync(path, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  await kubectl(cluster, 'apply', '-f', path);
}

const podOn = async (name: string, node: string): Promise<string> =>
  kubectl(
    cluster,
    ...['get', 'pods', '-l', `name=${name}`, '--field-selector', `spec.nodeName=${node}`],
    ...['-o', 'jsonpath={.items[0].metadata.name}'],
  );

beforeAll(async () => {
  for (const left of ['bt-lan', 'bt-node-a']) addNamespace(left); // as a run leaves them that is killed with all that it had started
  cluster = await startCluster({ stateDirectory, prefix: 'bt', network: '10.76.0' });
  for (const node of cluster.nodes) {
    mkdirSync(nodePath(cluster, node, '/srv/vdisks'), { recursive: true });
    writeFileSync(join(nodePath(cluster, node, '/srv/vdisks'), 'who'), node);
  }
  const archive = join(folder, 'busybox.tar');
  writePauseImage(archive, IMAGE);
  await loadImage(cluster, archive);
  await apply(manifest('outer', true, 8080), manifest('inner', false, 8081), service);
  for (const name of ['outer', 'inner']) {
    const ready = `jsonpath={.status.numberReady}=${cluster.nodes.length}`;
    await kubectl(cluster, 'wait', `daemonset/${name}`, `--for=${ready}`, '--timeout=90s');
  }
});

afterAll(async () => {
  await stopCluster(stateDirectory);
  rmSync(folder, { recursive: true, force: true });
});

describe('a cluster that runs', () => {
  test('is found by its state directory, and started again changes nothing', async () => {
    expect(openCluster(stateDirectory)).toEqual(cluster);
    const said: string[] = [];
    await startCluster({ stateDirectory, prefix: 'bt', network: '10.76.0' }, (line) => said.push(line));
    expect(said).toEqual(['runs already']);
  });

  test('keeps its prefix to itself: another of that prefix is refused, and it runs on', async () => {
    const another = startCluster({ stateDirectory: join(folder, 'another'), prefix: 'bt', network: '10.76.0' });
    await expect(another).rejects.toThrow(/in namespace bt-lan processes run: another cluster has the prefix bt/);
    expect(await kubectl(cluster, 'get', 'nodes', '-o', 'name')).toContain('node/node-a');
  });

  test("a pod on the host network of each node answers on that node's address with what lies in that node's own /srv", async () => {
    for (const { name, address } of nodesOf(cluster))
      expect(await runAsync(...inLan(cluster), 'curl', '-sS', '-m', '5', `http://${address}:8080/who`)).toBe(name);
  });

  test('a service answers by its cluster address and by its name, from every node', async () => {
    const address = await kubectl(cluster, 'get', 'service', 'inner', '-o', 'jsonpath={.spec.clusterIP}');
    for (const node of cluster.nodes) {
      const pod = await podOn('inner', node);
      const busybox = (...args: string[]): Promise<string> =>
        kubectl(cluster, 'exec', pod, '--', '/bin/busybox', ...args);
      // Not wget: a static busybox crashes in glibc's look-ups, even of an address.
      const get = `/bin/busybox printf 'GET /who HTTP/1.0\r\n\r\n' | /bin/busybox nc -w 5 ${address} 80`;
      // kube-proxy of each node learns of the service in its own time.
      await until(`the service answers from ${node}`, MINUTE, async () =>
        cluster.nodes.includes((await busybox('sh', '-c', get)).split('\n').at(-1) ?? ''),
      );
      await until(`its name is known on ${node}`, MINUTE, async () =>
        (await busybox('nslookup', 'inner.default.svc.cluster.local')).includes(address),
      );
    }
  });

  test('what a pod mounts with Bidirectional propagation is seen by other pods of the node, and not by this machine', async () => {
    const [first = '', second = ''] = cluster.nodes;
    const inner = await podOn('inner', first);
    await kubectl(cluster, 'exec', inner, '--', '/bin/busybox', 'mkdir', '/srv/mounted');
    await kubectl(cluster, 'exec', inner, '--', '/bin/busybox', 'mount', '-t', 'tmpfs', 'none', '/srv/mounted');
    await kubectl(cluster, 'exec', inner, '--', '/bin/busybox', 'touch', '/srv/mounted/here');
    const list = async (node: string): Promise<string> =>
      kubectl(cluster, 'exec', await podOn('outer', node), '--', '/bin/busybox', 'ls', '-R', '/srv');
    expect(await list(first)).toContain('here');
    expect(await list(second)).not.toContain('mounted');
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain('/srv/mounted');
  });

  test('a machine on the bridge gets an address and a router, and nothing about booting', async () => {
    await startDhcp(cluster);
    const script = 'echo "$interface $ip $router boot:$boot_file"';
    const path = join(folder, 'lease.sh');
    writeFileSync(path, `#!/bin/sh\n[ "$1" != bound ] || ${script}\n`, { mode: 0o755 });
    // A node is a machine on the bridge, too; the script keeps nothing of the lease.
    const lease = await runAsync(
      ...inNode(cluster, 'node-a'),
      ...['busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-t', '5', '-T', '1', '-s', path],
    );
    expect(lease.split('\n')).toContainEqual(expect.stringMatching(/^eth0 10\.76\.0\.[12]\d\d 10\.76\.0\.1 boot:$/));
  });
});

test('afterwards the machine is as it was', async () => {
  await stopCluster(stateDirectory);
  await stopCluster(stateDirectory); // nothing there is fine
  expect(await leftBehind(before)).toEqual([]);
});
