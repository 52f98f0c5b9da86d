/** `make cluster`: a three-node cluster in .build/cluster, left running. */
import { join } from 'node:path';
import { inLan, startCluster } from './cluster.ts';

const cluster = await startCluster(join(import.meta.dirname, '../../.build/cluster'), undefined, (line) =>
  console.log(`cluster: ${line}`),
);
console.log(`cluster: use it by ${inLan(cluster).join(' ')} kubectl --kubeconfig ${cluster.kubeconfig}`);
