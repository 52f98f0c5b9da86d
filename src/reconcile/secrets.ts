/** Secrets that the operator makes once and adopts again: they have no owner, because data that outlives its resource needs them. */
import { randomBytes } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import { ok, type Result } from '../kit/result.ts';
import type { CallOptions, Client } from '../kube/client.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import type { Live, Wire } from '../kube/wire.ts';

export type SecretData = Readonly<Record<string, Buffer>>;

export const textOf = (data: SecretData, key: string): string => data[key]?.toString('utf8').trim() ?? '';
export const randomPassword = (): Buffer => Buffer.from(randomBytes(24).toString('base64url'));

/** A Secret's data is base64 in the API. */
export const encodeData = (data: SecretData): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([name, bytes]) => [name, bytes.toString('base64')]));

export function decodeData({ data = {} }: Live<V1Secret>): SecretData {
  return Object.fromEntries(Object.entries(data).map(([name, text = '']) => [name, Buffer.from(text, 'base64')]));
}

export async function readSecret(
  client: Client,
  namespace: string,
  name: string,
  options?: CallOptions,
): Promise<Result<SecretData | undefined, ApiFault>> {
  const found = await client.get<Live<V1Secret>>(at(kinds.Secret, namespace, name), options);
  if (found.ok) return ok(decodeData(found.value));
  return found.error.code === 'NotFound' ? ok(undefined) : found;
}

const secretOf = (labels: Readonly<Record<string, string>>, data: SecretData): Wire<V1Secret> => ({
  metadata: { labels },
  type: 'Opaque',
  data: encodeData(data),
});

/** Undefined: this key goes. */
export type SecretChange = Readonly<Record<string, Buffer | undefined>>;

export const changed = (held: SecretData, change: SecretChange): SecretData =>
  Object.fromEntries(Object.entries({ ...held, ...change }).filter(isThere));

export interface KeptSecret {
  readonly uid: string;
  readonly data: SecretData;
}

/**
 * Brought to what `want` makes of what it holds; keys that `want` does not name stay. Nothing is written when nothing differs. Who wrote it
 * meanwhile is not overwritten: the answer is a `Conflict`, and the next reconcile starts from what is there then.
 */
export async function keepSecret(
  client: Client,
  namespace: string,
  name: string,
  labels: Readonly<Record<string, string>>,
  want: (held: SecretData) => Promise<SecretChange> | SecretChange,
  options?: CallOptions,
): Promise<Result<KeptSecret, ApiFault>> {
  const target = at(kinds.Secret, namespace, name);
  const found = await client.get<Live<V1Secret>>(target, options);
  if (!found.ok && found.error.code !== 'NotFound') return found;
  const held = found.ok ? decodeData(found.value) : {};
  const change = Object.entries(await want(held)).filter(([key, bytes]) => !isSame(held[key], bytes));
  if (found.ok && change.length === 0) return ok({ uid: found.value.metadata.uid ?? '', data: held });
  const kept = changed(held, Object.fromEntries(change));
  const data = Object.fromEntries(change.map(([key, bytes]) => [key, bytes?.toString('base64') ?? null]));
  const written = found.ok
    ? await client.patch(target, { metadata: { resourceVersion: found.value.metadata.resourceVersion }, data }, options)
    : await client.create(target, secretOf(labels, kept), options);
  return written.ok ? ok({ uid: written.value.metadata.uid ?? '', data: kept }) : written;
}

const isSame = (a: Buffer | undefined, b: Buffer | undefined): boolean => (a && b ? a.equals(b) : a === b);
const isThere = (entry: readonly [string, Buffer | undefined]): entry is [string, Buffer] => entry[1] !== undefined;
