/** `make demo-down`: ends what `make demo` started, machines too, and removes every trace. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MARK } from '../../src/store/mark.ts';
import { stopCluster } from '../cluster/cluster.ts';
import { attempt, runAsync } from '../cluster/run.ts';
import { DISK_FILES, NAMESPACE, OPERATOR_NAMESPACE, STORE_FOLDER } from './farm.ts';
import { endMachines } from './machines.ts';
import { removeHelpers } from './site.ts';

const STATE = join(import.meta.dirname, '../../.build/demo');

/** What was there before stays: other folders of the nodes, and a CRD as long as somebody else has resources of it. */
async function leaveCluster(): Promise<void> {
  await endMachines(STATE);
  const resources = ['streamingservers', 'vdisks', 'stores', 'farms'].map((plural) => `${plural}.bootfarm.io`);
  for (const resource of resources) {
    attempt('kubectl', '-n', NAMESPACE, 'annotate', resource, '--all', 'bootfarm.io/confirm-delete=yes');
    attempt('kubectl', '-n', NAMESPACE, 'delete', resource, '--all', '--timeout=5m');
  }
  await runAsync('kubectl', 'delete', 'namespace', NAMESPACE, '--ignore-not-found');
  attempt('helm', 'uninstall', 'bootfarm', '--namespace', OPERATOR_NAMESPACE, '--wait');
  await runAsync('kubectl', 'delete', 'namespace', OPERATOR_NAMESPACE, '--ignore-not-found');
  for (const resource of resources)
    if (attempt('kubectl', 'get', resource, '--all-namespaces', '-o', 'name') === '')
      for (const act of [
        ['annotate', 'crd', resource, 'bootfarm.io/confirm-delete=yes'],
        ['delete', 'crd', resource],
      ])
        attempt('kubectl', ...act);
  await removeHelpers([...[...DISK_FILES, MARK].map((name) => join(STORE_FOLDER, name)), '/var/lib/bootfarm']);
  rmSync(STATE, { recursive: true, force: true });
}

await (process.env['CLUSTER'] === 'existing' ? leaveCluster() : stopCluster(STATE));
console.log('demo: gone');
