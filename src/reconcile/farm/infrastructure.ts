/** What a farm stands on: keys, certificates, the database and the replica. Made once, adopted again; gives what a runtime is made from. */
import { OPERATOR_NAME } from '../../control/caller.ts';
import { ok, type Result } from '../../kit/result.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Farm } from '../../resources/kinds.ts';
import { type Authority, certificateFiles, makeAuthority, pairFiles } from '../certificates.ts';
import type { Context } from '../context.ts';
import { authorityName, labelsOf, operatorTlsName } from '../names.ts';
import { ensureSecret, keepSecret, type SecretData, textOf } from '../secrets.ts';
import { databaseInputs } from './database.ts';
import { faultOf, type InfrastructureFault } from './fault.ts';
import { type Keys, keepKeys } from './keys.ts';
import { replicaInputs } from './replica.ts';
import type { Infrastructure, ServerView } from './runtimes.ts';

/** `servers`: undefined while they were not asked. */
export async function ensureInfrastructure(
  context: Context,
  farm: Farm,
  object: KubeObject,
  servers: readonly ServerView[] | undefined,
  signal: AbortSignal,
): Promise<Result<{ readonly inputs: Infrastructure; readonly keys: Keys }, InfrastructureFault>> {
  const { client } = context;
  const { name, namespace = 'default' } = farm.metadata;
  const labels = labelsOf(name, 'secret');
  const keys = await keepKeys(context, farm, servers, signal);
  if (!keys.ok) return faultOf(keys.error);
  const make = async () => pairFiles(await makeAuthority(`${namespace}/${name}`, Date.now()));
  const ca = await ensureSecret(client, namespace, authorityName(name), labels, make, { signal });
  if (!ca.ok) return faultOf(ca.error);
  const signer = { cert: textOf(ca.value, 'tls.crt'), key: textOf(ca.value, 'tls.key') };
  const authority: Authority = { signer, trust: signer.cert };
  const operator = { names: [OPERATOR_NAME], use: 'client' } as const;
  const certificate = (held: SecretData) => certificateFiles(held, signer, operator, Date.now());
  const tls = await keepSecret(client, namespace, operatorTlsName(name), labels, certificate, { signal });
  if (!tls.ok) return faultOf(tls.error);
  const identity = { ca: authority.trust, cert: textOf(tls.value, 'tls.crt'), key: textOf(tls.value, 'tls.key') };

  const database = await databaseInputs(context, farm, object, authority, signal);
  if (!database.ok) return database;
  const replica = await replicaInputs(context, farm, object, authority, signal);
  if (!replica.ok) return replica;
  return ok({ inputs: { ...database.value, ...replica.value, identity, authority }, keys: keys.value });
}
