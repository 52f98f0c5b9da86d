/** The site's own DHCP server, which knows nothing of booting. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { connect, dhcpOf } from './network.ts';
import { runnerOf } from './plan.ts';
import { logPath, runningPid, startProcess } from './processes.ts';
import { until } from './run.ts';

const NAME = 'dhcp';
/** A prefix for router advertisements: iPXE waits 16 s a stage where none come. */
const PREFIX6 = 'fd77';

/** Addresses from .100 to .200 with a router, and IPv6 router advertisements without a default route. `stopCluster` ends it. */
export async function startDhcp(cluster: Cluster): Promise<void> {
  if (runningPid(cluster.stateDirectory, NAME) !== undefined) return;
  const namespace = dhcpOf(cluster);
  connect(cluster.namespace, cluster.bridge, namespace, [`${cluster.network}.2/24`, `${PREFIX6}::2/64`]);
  startProcess(cluster.stateDirectory, NAME, [
    ...['nsenter', `--net=/run/netns/${namespace}`, 'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null'],
    ...['--port=0', '--interface=eth0', '--bind-interfaces', '--user=root', '--pid-file=', '--log-facility=-'],
    ...[`--dhcp-range=${cluster.network}.100,${cluster.network}.200,1h`, '--no-ping', '--log-dhcp'],
    ...[
      `--dhcp-option=option:router,${runnerOf(cluster)}`,
      `--dhcp-leasefile=${join(cluster.stateDirectory, 'leases')}`,
    ],
    ...['--enable-ra', `--dhcp-range=${PREFIX6}::,ra-only,64,1h`, '--ra-param=eth0,10,0'],
  ]);
  await until('the DHCP server', 10_000, () =>
    readFileSync(logPath(cluster.stateDirectory, NAME), 'utf8').includes('DHCP, IP range'),
  );
}
