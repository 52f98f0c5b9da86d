/** Servers that go, with a pool or without it: they drain, and what the database and a Secret say of them goes after them. */
import { unregisterServer } from '../../database/servers.ts';
import { fail, ok, type Result } from '../../kit/result.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor } from '../../kube/object.ts';
import { orphan } from '../../kube/owner.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { type Context, logFault } from '../context.ts';
import { POOL_LABEL, serverName, serverSecretName } from '../names.ts';
import { nodeOf, serverDeployments } from '../servers.ts';

/** Its servers drain; what the database says of them goes when they are gone, or they would register again. */
export async function takeDown(
  context: Context,
  pool: StreamingServer,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { namespace, name } = pool.metadata;
  const there = serverDeployments(context, namespace, pool.spec.farmRef.name, name);
  for (const found of there) if (!found.metadata.deletionTimestamp) await removeServer(context, found, signal);
  if (there.length > 0) return `servers end: ${there.map(nodeOf).sort().join(', ')}`;
  const runtime = context.runtimes.get(keyFor(namespace, pool.spec.farmRef.name));
  return runtime && forgetServers(context, pool, new Set(), runtime, signal);
}

/** Nobody owns them: the next pool of this name applies them again, with what they have, and owns them. */
export async function orphanServers(
  context: Context,
  { metadata, spec }: StreamingServer,
  signal: AbortSignal,
): Promise<Result<void, ApiFault>> {
  const { namespace, name, uid } = metadata;
  const servers = serverDeployments(context, namespace, spec.farmRef.name, name);
  const letGo = servers.map((found) => orphanServer(context, uid, found, signal));
  return (await Promise.all(letGo)).find(({ ok: isDone }) => !isDone) ?? ok(undefined);
}

/** Servers that are gone for good. */
export async function forget(
  context: Context,
  pool: StreamingServer,
  kept: ReadonlySet<string>,
  runtime: FarmRuntime,
  signal: AbortSignal,
): Promise<void> {
  const key = keyFor(pool.metadata.namespace, pool.metadata.name);
  const left = await forgetServers(context, pool, kept, runtime, signal);
  const forgotten = left === undefined ? ok(undefined) : fail('NotForgotten', left);
  logFault(context, `StreamingServer ${key}`, 'forgotten', forgotten, 'servers not forgotten', { pool: key });
}

/** SIGTERM drains it; its Deployment stays, being deleted, until its pod is gone. */
export async function removeServer(context: Context, { metadata }: KubeObject, signal: AbortSignal): Promise<void> {
  const target = at(kinds.Deployment, metadata.namespace, metadata.name);
  const removed = await context.client.delete(target, { propagationPolicy: 'Foreground', signal });
  if (!removed.ok && removed.error.code === 'NotFound') return;
  const [deployment, pool] = [metadata.name, keyFor(metadata.namespace, metadata.labels?.[POOL_LABEL] ?? '')];
  logFault(context, `StreamingServer ${pool}`, `${deployment} removed`, removed, 'server not removed', { deployment });
}

/** Its Deployment and its Secret, which its pod mounts, stay when their pool goes. */
const orphanServer = (
  { client }: Context,
  pool: string | undefined,
  { metadata: { name, namespace } }: KubeObject,
  signal: AbortSignal,
): Promise<Result<void, ApiFault>> =>
  orphan(
    client,
    pool,
    [at(kinds.Secret, namespace, serverSecretName(name)), at(kinds.Deployment, namespace, name)],
    signal,
  );

/**
 * The rows and Secrets of servers of this pool that are neither there nor wanted. Those of a database that is away go later. Servers write
 * these rows, so a row only says where to look: a Secret goes when its owner is this pool. One that never ran, or whose node another pool has now,
 * has no row of this pool, and is in its status. What is left of them, in words; nothing is: undefined.
 */
export async function forgetServers(
  { client }: Context,
  { metadata: { name: pool, namespace, uid }, status }: StreamingServer,
  kept: ReadonlySet<string>,
  runtime: FarmRuntime,
  signal: AbortSignal,
): Promise<string | undefined> {
  const rows = await runtime.rows();
  const gone = rows?.servers.filter((server) => server.pool === pool && !kept.has(server.name));
  const told = (status?.servers ?? []).filter(
    ({ name }) => !kept.has(name) && !gone?.some((server) => server.name === name),
  );
  const forgetSecretOf = async (name: string): Promise<string | undefined> => {
    const forgotten = await forgetSecret(client, pool, name, namespace, uid, signal);
    if (forgotten.ok || forgotten.error.code === 'NotFound') return undefined;
    return `the Secret of server ${name} is not removed: ${forgotten.error.message}`;
  };
  for (const { name } of told) {
    const left = await forgetSecretOf(name);
    if (left !== undefined) return left;
  }
  for (const { name } of gone?.slice(0, MAX_FORGOTTEN) ?? []) {
    const left = await forgetSecretOf(name);
    if (left !== undefined) return left;
    const unregistered = await unregisterServer(runtime.writes, name);
    if (!unregistered.ok) return `${NOT_FORGOTTEN} ${name}: ${unregistered.error.message}`;
  }
  if (!gone) return `${NOT_FORGOTTEN}: it does not answer`;
  return gone.length > MAX_FORGOTTEN ? `${NOT_FORGOTTEN} yet: they are many` : undefined;
}

const NOT_FORGOTTEN = 'the farm database does not forget its servers';

async function forgetSecret(
  client: Context['client'],
  pool: string,
  server: string,
  namespace: string | undefined,
  owner: string | undefined,
  signal: AbortSignal,
): Promise<Result<void, ApiFault>> {
  if (!isNodeName(server)) return ok(undefined);
  const target = at(kinds.Secret, namespace, serverSecretName(serverName(pool, server)));
  const found = await client.get(target, { signal });
  if (!found.ok) return found;
  return isOwnedBy(found.value, owner) ? client.delete(target, { signal }) : ok(undefined);
}

/** Rows that one look forgets: whoever writes thousands of them holds nobody up. */
const MAX_FORGOTTEN = 100;

const isNodeName = (name: string): boolean => /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name);

const isOwnedBy = ({ metadata }: KubeObject, uid: string | undefined): boolean =>
  uid !== undefined && (metadata.ownerReferences ?? []).some((owner) => owner.controller && owner.uid === uid);
