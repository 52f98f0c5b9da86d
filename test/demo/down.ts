/** `make demo-down`: ends what `make demo` started, machines too, and removes every trace. */
import { join } from 'node:path';
import { stopCluster } from '../cluster/cluster.ts';

await stopCluster(join(import.meta.dirname, '../../.build/demo'));
console.log('demo: gone');
