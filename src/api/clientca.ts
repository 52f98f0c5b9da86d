/** Whose client certificates are believed: the cluster's client CA, as every API server tells its extensions. */
import type { V1ConfigMap } from '@kubernetes/client-node';
import { ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import type { Live } from '../kube/wire.ts';

const PLACE = at(kinds.ConfigMap, 'kube-system', 'extension-apiserver-authentication');
const TIMEOUT_MS = 10_000;

/** PEM. Undefined: the cluster has none, and nobody is known by a certificate. */
export async function readClientCa(client: Pick<Client, 'get'>): Promise<Result<string | undefined, ApiFault>> {
  const found = await client.get<Live<V1ConfigMap>>(PLACE, { timeoutMs: TIMEOUT_MS });
  if (!found.ok) return found.error.code === 'NotFound' ? ok(undefined) : found;
  return ok(found.value.data?.['client-ca-file'] || undefined);
}
