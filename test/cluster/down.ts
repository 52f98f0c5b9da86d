/** `make cluster-down`: ends what `make cluster` started and removes every trace. */
import { join } from 'node:path';
import { stopCluster } from './cluster.ts';

await stopCluster(join(import.meta.dirname, '../../.build/cluster'));
console.log('cluster: gone');
