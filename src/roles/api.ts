/** The Kubernetes API, for a command that a person gives: by the service account of the operator's pod, or a person's own kubeconfig. */
import { KubeConfig } from '@kubernetes/client-node';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Client, createClient } from '../kube/client.ts';

/** What the library takes where it finds neither. */
const NOWHERE = 'http://localhost:8080';

export function apiOfProcess(): Result<Client, Fault<'NoApi'>> {
  const config = new KubeConfig();
  try {
    config.loadFromDefault();
  } catch (thrown) {
    return fail('NoApi', `the kubeconfig cannot be read: ${String((thrown as Error).message)}`);
  }
  return config.getCurrentCluster()?.server === NOWHERE
    ? fail(
        'NoApi',
        'nothing here says where the Kubernetes API is: run it in the pod of the operator, as in `kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm …`, or set KUBECONFIG',
      )
    : ok(createClient(config));
}
