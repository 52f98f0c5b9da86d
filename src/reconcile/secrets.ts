/** Secrets that the operator makes once and adopts again: they have no owner, because data that outlives its resource needs them. */

import { ok, type Result } from '../kit/result.ts';
import type { CallOptions, Client } from '../kube/client.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject } from '../kube/object.ts';

export type SecretData = Readonly<Record<string, Buffer>>;

/** A Secret's data is base64 in the API. */
export const encodeData = (data: SecretData): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([name, bytes]) => [name, bytes.toString('base64')]));

export function decodeData(secret: KubeObject): SecretData {
  const data = (secret as { readonly data?: Readonly<Record<string, string>> }).data ?? {};
  return Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(text, 'base64')]));
}

export async function readSecret(
  client: Client,
  namespace: string,
  name: string,
  options?: CallOptions,
): Promise<Result<SecretData | undefined, ApiFault>> {
  const found = await client.get<KubeObject>(at(kinds.Secret, namespace, name), options);
  if (found.ok) return ok(decodeData(found.value));
  return found.error.code === 'NotFound' ? ok(undefined) : found;
}

/** What is there stays; what is not is made. Two operators that make it at once agree on the first. */
export async function ensureSecret(
  client: Client,
  namespace: string,
  name: string,
  labels: Readonly<Record<string, string>>,
  make: () => Promise<SecretData> | SecretData,
  options?: CallOptions,
): Promise<Result<SecretData, ApiFault>> {
  const found = await readSecret(client, namespace, name, options);
  if (!found.ok || found.value) return found as Result<SecretData, ApiFault>;
  const data = await make();
  const target = at(kinds.Secret, namespace, name);
  const created = await client.create<KubeObject>(target, {
    metadata: { labels },
    type: 'Opaque',
    data: encodeData(data),
  });
  if (created.ok) return ok(data);
  if (created.error.code !== 'AlreadyExists') return created;
  const first = await readSecret(client, namespace, name, options);
  return first.ok ? ok(first.value ?? {}) : first;
}
