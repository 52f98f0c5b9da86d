/**
 * An operator as small as can be, for kube.test.ts to run, kill and read: what happens to it is a JSON line on standard output.
 * Arguments: kubeconfig, identity. It watches gadgets through the library's calls and ConfigMaps through the engine's.
 */
import type { ResourceEvent } from '@dot-i/k8s-operator';
import { kinds } from '../../src/kube/kinds.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { EngineOperator } from '../../src/kube/operator.ts';
import { settled } from '../../src/kube/outcome.ts';
import { KubeConfig } from '../../src/kube/upstream.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

const [, , kubeconfig = '', identity = '', crd = ''] = process.argv;
const say = (says: string, more: object = {}) => console.log(JSON.stringify({ says, ...more }));

class GadgetOperator extends EngineOperator {
  #failures = 1;

  protected override async init(): Promise<void> {
    await this.registerCustomResourceDefinition(crd);
    await this.watchResource('test.bootfarm.io', 'v1', 'gadgets', (event) => this.#gadget(event));
    const informer = this.informer(kinds.ConfigMap, { namespace: 'default' });
    this.control({
      name: 'configmap',
      informer,
      reconcile: async (key) => {
        say('look', { key, present: informer.get(key) !== undefined });
        return settled;
      },
    });
  }

  async #gadget(event: ResourceEvent): Promise<void> {
    const gadget = event.object as unknown as KubeObject;
    say(event.type, { name: event.meta.name, status: gadget.status });
    const done = await this.handleResourceFinalizer(event, 'test.bootfarm.io/done', async () => say('cleaned up'));
    if (done || event.type === 'DELETED') return;
    if (this.#failures-- > 0) throw new Error('a handler that throws is called again');
    await this.setResourceStatus(event.meta, { seen: true });
  }
}

const kubeConfig = new KubeConfig();
kubeConfig.loadFromFile(kubeconfig);
const times = { durationMs: 3_000, renewDeadlineMs: 2_000, retryMs: 400 };
const operator = new GadgetOperator({
  kubeConfig,
  logger: { ...silentLogger, info: (fields, message) => say(message, fields) },
  lease: { namespace: 'default', name: 'gadgets', identity, times },
});
process.once('SIGTERM', () => operator.close().then(() => say('closed')));
await operator.start();
say('started', { synced: await operator.synced });
