/** A server brought about: its Secret first, which its pod mounts, then its Deployment. */

import type { V1Secret } from '@kubernetes/client-node';
import { askingServer } from '../../control/caller.ts';
import { isDue, type KeyPair, makeCertificate, type Subject } from '../../control/certificates.ts';
import type { Fault, Result } from '../../kit/result.ts';
import { applyChanged } from '../../kube/apply.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject, key as keyFor } from '../../kube/object.ts';
import { controllerRef } from '../../kube/owner.ts';
import type { Wire } from '../../kube/wire.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import { type Context, logFault } from '../context.ts';
import { labelsOf, POOL_LABEL, serverName, serverSecretName } from '../names.ts';
import { encodeData, readSecret } from '../secrets.ts';
import { removeServer } from './leave.ts';
import { deployment, ORDERS_FILE, type ServerPlan } from './objects.ts';
import type { Sight } from './observe.ts';
import type { Step } from './plan.ts';
import type { WantedServer } from './wanted.ts';

/** In their order, whatever comes of each: the next reconcile sees what is there then. */
export async function applySteps(
  context: Context,
  steps: readonly Step[],
  { wanted, deployments }: Sight,
  owner: KubeObject,
  runtime: FarmRuntime,
  signal: AbortSignal,
): Promise<void> {
  for (const { kind, node } of steps) {
    const server = wanted.get(node);
    const live = deployments.get(node);
    if (kind === 'Apply' && server) await applyServer(context, server, owner, live, runtime, signal);
    const isEnding = live?.metadata.deletionTimestamp !== undefined;
    if (kind === 'Hold' && server && !isEnding) await renewServer(context, server, owner, runtime, signal);
    if (kind === 'Remove' && live) await removeServer(context, live, signal);
  }
}

/** `live` is its Deployment as last seen. */
async function applyServer(
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

/** A server that keeps its settings for now, or goes later: its certificate is still renewed in time, and what is ordered of it is as now. */
const renewServer = (
  context: Context,
  { plan, files }: WantedServer,
  owner: KubeObject,
  runtime: FarmRuntime,
  signal: AbortSignal,
): Promise<boolean> => ensureSecret(context, plan, owner, { [ORDERS_FILE]: files[ORDERS_FILE] ?? '' }, runtime, signal);

/** Those that it holds and that are not among `files` stay. */
async function ensureSecret(
  context: Context,
  plan: ServerPlan,
  owner: KubeObject,
  files: Readonly<Record<string, string>>,
  { inputs: { authority }, checked }: FarmRuntime,
  signal: AbortSignal,
): Promise<boolean> {
  const { client } = context;
  const { namespace, name: pool } = plan.pool.metadata;
  const name = serverSecretName(serverName(pool, plan.node));
  const asked = JSON.stringify([owner.metadata.uid, files]); // a pool that is made again has another Secret
  if (checked.has(name, asked)) return true;
  const found = await readSecret(client, namespace, name, { signal });
  warn(context, plan, 'secret read', found, 'server secret not read');
  if (!found.ok) return false;
  const held = Object.fromEntries(Object.entries(found.value ?? {}).map(([key, bytes]) => [key, bytes.toString()]));
  const answers = await renewed(held, 'tls', { names: [plan.node], use: 'server' }, authority.signer);
  const asks = await renewed(held, 'peer', askingServer(plan.node), authority.signer);
  const wanted: Readonly<Record<string, string>> = {
    ...held,
    ...files,
    ...answers,
    ...asks,
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
  if (applied.ok) checked.note(name, asked); // else what was right before it would be taken for right still
  warn(context, plan, 'secret applied', applied, 'server secret not applied');
  return applied.ok;
}

/** A pair of files, `NAME.crt` and `NAME.key`, where the one that is held is not good any more. */
async function renewed(
  held: Readonly<Record<string, string>>,
  name: 'tls' | 'peer',
  subject: Subject,
  signer: KeyPair,
): Promise<Readonly<Record<string, string>>> {
  if (!isDue(held[`${name}.crt`] ?? '', signer.cert, subject, Date.now())) return {};
  const { cert, key } = await makeCertificate(signer, subject, Date.now());
  return { [`${name}.crt`]: cert, [`${name}.key`]: key };
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
