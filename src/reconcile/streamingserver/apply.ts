/** A server brought about, and taken away: its Secret first, which its pod mounts, then its Deployment. */
import type { V1Secret } from '@kubernetes/client-node';
import { isDue, makeCertificate } from '../../control/certificates.ts';
import { unregisterServer } from '../../database/servers.ts';
import { withRootFile } from '../../database/tls.ts';
import { type Fault, ok, type Result } from '../../kit/result.ts';
import { applyChanged } from '../../kube/apply.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor } from '../../kube/object.ts';
import { controllerRef, orphan } from '../../kube/owner.ts';
import type { Wire } from '../../kube/wire.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import { followerConfig } from '../../replica/config.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { type Context, logFault } from '../context.ts';
import { labelsOf, POOL_LABEL, serverName, serverSecretName } from '../names.ts';
import { encodeData, readSecret } from '../secrets.ts';
import {
  DATABASE_CA_FILE,
  deployment,
  SERVER_SECRETS,
  type ServerPlan,
  serverConfig,
  settingsHash,
} from './objects.ts';

/** A server as it should run: what its Secret holds, and the digest of all that restarts it, the template of its pod too. */
export interface WantedServer {
  readonly plan: ServerPlan;
  readonly files: Readonly<Record<string, string>>;
  readonly settings: string;
}

export function wantedServer(
  plan: ServerPlan,
  serverUri: string,
  { database, primary, authority }: Infrastructure,
): WantedServer {
  const files = {
    'server.json': `${JSON.stringify(serverConfig(plan), null, 2)}\n`,
    'database-uri': database.ca ? withRootFile(serverUri, DATABASE_CA_FILE) : serverUri,
    'database-ca.crt': database.ca ?? '',
    'redis.conf': primary
      ? followerConfig({
          primaryHost: primary.host,
          primaryPort: primary.port,
          followerPassword: primary.followerPassword,
          secrets: SERVER_SECRETS,
          socketPath: '/run/bootfarm/redis.sock',
          folder: '/data',
        })
      : '',
  };
  const template = JSON.stringify(deployment(plan, ''));
  return { plan, files, settings: settingsHash([...Object.values(files), authority.trust, template]) };
}

/** `live` is its Deployment as last seen. */
export async function applyServer(
  context: Context,
  { plan, files, settings }: WantedServer,
  owner: KubeObject,
  live: KubeObject | undefined,
  runtime: FarmRuntime,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name: pool } = plan.pool.metadata;
  const name = serverName(pool, plan.node);
  if (!(await ensureSecret(context, plan, owner, files, runtime, signal))) return;
  const desired = deployment(plan, settings);
  const body = {
    ...desired,
    metadata: { ...desired.metadata, ownerReferences: [controllerRef(kinds.StreamingServer, owner)] },
  };
  const applied = await applyChanged(context.client, at(kinds.Deployment, namespace, name), body, live, { signal });
  warn(context, plan, 'applied', applied, 'server not applied');
}

/** A server that keeps its settings for now: its certificate is still renewed in time. */
export const renewServer = (
  context: Context,
  { plan }: WantedServer,
  owner: KubeObject,
  runtime: FarmRuntime,
  signal: AbortSignal,
): Promise<boolean> => ensureSecret(context, plan, owner, undefined, runtime, signal);

/** Without `files`, those that it holds stay. */
async function ensureSecret(
  context: Context,
  plan: ServerPlan,
  owner: KubeObject,
  files: Readonly<Record<string, string>> | undefined,
  { inputs: { authority }, checked }: FarmRuntime,
  signal: AbortSignal,
): Promise<boolean> {
  const { client } = context;
  const { namespace, name: pool } = plan.pool.metadata;
  const name = serverSecretName(serverName(pool, plan.node));
  const asked = JSON.stringify([owner.metadata.uid, files ?? null]); // a pool that is made again has another Secret
  if (checked.has(name, asked)) return true;
  const found = await readSecret(client, namespace, name, { signal });
  warn(context, plan, 'secret read', found, 'server secret not read');
  if (!found.ok) return false;
  const held = Object.fromEntries(Object.entries(found.value ?? {}).map(([key, bytes]) => [key, bytes.toString()]));
  const subject = { names: [plan.node], use: 'server' } as const;
  const due = isDue(held['tls.crt'] ?? '', authority.signer.cert, subject, Date.now());
  const certificate = due ? await makeCertificate(authority.signer, subject, Date.now()) : undefined;
  const wanted: Readonly<Record<string, string>> = {
    ...held,
    ...files,
    ...(certificate ? { 'tls.crt': certificate.cert, 'tls.key': certificate.key } : {}),
    'ca.crt': authority.trust,
  };
  if (Object.entries(wanted).every(([key, value]) => held[key] === value)) {
    checked.note(name, asked);
    return true;
  }
  const data = encodeData(Object.fromEntries(Object.entries(wanted).map(([key, value]) => [key, Buffer.from(value)])));
  const secret: Wire<V1Secret> = {
    metadata: {
      labels: { ...labelsOf(plan.farm, 'server'), [POOL_LABEL]: pool },
      ownerReferences: [controllerRef(kinds.StreamingServer, owner)],
    },
    type: 'Opaque',
    data,
  };
  const applied = await client.apply(at(kinds.Secret, namespace, name), secret, { signal });
  warn(context, plan, 'secret applied', applied, 'server secret not applied');
  return applied.ok;
}

function warn(
  context: Context,
  { pool: { metadata }, node }: ServerPlan,
  what: string,
  answer: Result<unknown, Fault>,
  message: string,
): void {
  const pool = keyFor(metadata.namespace, metadata.name);
  logFault(context, `StreamingServer ${pool}`, `${node} ${what}`, answer, message, { pool, server: node });
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
export const orphanServer = (
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
