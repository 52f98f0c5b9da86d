/** `make cluster`: a three-node cluster in .build/cluster, left running. */
import { join } from 'node:path';
import { binary, inLan, startCluster } from './cluster.ts';

const stateDirectory = join(import.meta.dirname, '../../.build/cluster');
const cluster = await startCluster({ stateDirectory }, (line) => console.log(`cluster: ${line}`));
console.log(`cluster: use it by ${inLan(cluster).join(' ')} ${binary('kubectl')} --kubeconfig ${cluster.kubeconfig}`);
