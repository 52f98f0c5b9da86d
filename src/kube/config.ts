/** Where the Kubernetes API is: for the operator, and for a command that a person gives. By the service account of a pod, or a person's own kubeconfig. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Client, createClient } from './client.ts';
import { KubeConfig } from './upstream.ts';

/** What the library takes where it finds neither. */
const NOWHERE = 'http://localhost:8080';

export function kubeConfigOfProcess(): Result<KubeConfig, Fault<'NoApi'>> {
  const file = process.env['KUBECONFIG'];
  const named = file === undefined ? 'the kubeconfig' : `the kubeconfig that KUBECONFIG names, ${file},`;
  const config = new KubeConfig();
  try {
    config.loadFromDefault();
  } catch (thrown) {
    return fail('NoApi', `${named} cannot be read: ${String((thrown as Error).message).split('\n')[0]}`);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) {
    const contexts = config.getContexts().map(({ name }) => name);
    return fail(
      'NoApi',
      `${named} has no cluster for its current context, "${config.getCurrentContext() ?? ''}": choose one of ${contexts.join(', ') || 'none'} by \`kubectl config use-context\``,
    );
  }
  if (cluster.server !== NOWHERE) return ok(config);
  return fail(
    'NoApi',
    'nothing here says where the Kubernetes API is: run it in the pod of the operator, as in `kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm …`, or set KUBECONFIG',
  );
}

export function apiOfProcess(): Result<Client, Fault<'NoApi'>> {
  const config = kubeConfigOfProcess();
  return config.ok ? ok(createClient(config.value)) : config;
}
