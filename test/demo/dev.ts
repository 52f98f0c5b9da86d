/**
 * `make dev`: the operator of this working tree, in place of the one that runs in a cluster and with its arguments, started anew when a file of `src`
 * changes. On the demo's cluster, which is made where there is none; CLUSTER=existing takes that of the current kubeconfig. Ctrl-C gives the cluster its
 * own operator back.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openCluster } from '../cluster/cluster.ts';
import { nodesOf } from '../cluster/plan.ts';
import { runAsync } from '../cluster/run.ts';
import { type DemoFarm, OPERATOR_NAMESPACE } from './farm.ts';
import { type OwnSite, ownSite } from './site.ts';
import { openFarm, prepare } from './steps.ts';

interface OperatorDeployment {
  readonly spec: {
    readonly replicas: number;
    readonly template: { readonly spec: { readonly containers: readonly { readonly args: readonly string[] }[] } };
  };
}

/** How it is reached: the API by this kubeconfig, the databases by their Services, in a network that has a way to them. */
interface Place {
  readonly kubectl: readonly [string, ...string[]];
  /** Before a command. */
  readonly enter: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const root = join(import.meta.dirname, '../..');
const STATE = join(root, '.build/demo');
const say = (line: string): void => console.log(`dev: ${line}`);

/** Services are routes of the nodes. */
function ofCluster({ cluster, kubectl }: OwnSite): Place {
  const [node] = nodesOf(cluster);
  return {
    kubectl,
    enter: ['nsenter', `--net=/run/netns/${node?.netns}`],
    env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
  };
}

async function own(): Promise<Place> {
  const running = openCluster(STATE);
  if (running && existsSync(`/run/netns/${running.namespace}`)) return ofCluster(ownSite(running));
  const farm: DemoFarm<OwnSite> = await prepare(STATE, say, { prefix: 'demo', network: '10.78.0' });
  await openFarm(farm);
  return ofCluster(farm.site);
}

function existing(): Place {
  say(
    'its databases are addressed by Services: this machine needs a route to them, such as `ip route add SERVICE-NETWORK via NODE` (a node of kind, on Linux)',
  );
  return { kubectl: ['kubectl'], enter: [], env: process.env };
}

const { kubectl, enter, env } = process.env['CLUSTER'] === 'existing' ? existing() : await own();
const [program, ...before] = kubectl;
const operator = (...args: string[]): Promise<string> =>
  runAsync(program, ...before, '-n', OPERATOR_NAMESPACE, ...args);
const scale = (replicas: number): Promise<string> => operator('scale', 'deployment/bootfarm', `--replicas=${replicas}`);

const found: OperatorDeployment = JSON.parse(await operator('get', 'deployment/bootfarm', '-o', 'json'));
const { replicas, template } = found.spec;
const args = [...(template.spec.containers[0]?.args ?? []), '--metrics-port=0'];
await scale(0);
say(`the operator of the cluster rests; this one runs with ${args.slice(1).join(' ')}`);
const [command = process.execPath, ...rest] = [...enter, process.execPath];
const child = spawn(command, [...rest, `--watch-path=${join(root, 'src')}`, join(root, 'src/main.ts'), ...args], {
  stdio: 'inherit',
  env,
});
// Ctrl-C reaches the child, too: it gives its Lease back.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
await once(child, 'exit');
await scale(Math.max(1, replicas));
say('the cluster has its own operator again');
