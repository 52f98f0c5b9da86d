/** How a farm's database, replica and servers are reached, for whoever reads and edits beside the reconciles: nothing is made. */
import type { ControlIdentity } from '../../control/client.ts';
import type { DatabaseAccess } from '../../database/connection.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import type { Client } from '../../kube/client.ts';
import type { RedisAccess } from '../../replica/link.ts';
import type { Farm } from '../../resources/kinds.ts';
import { authorityName, operatorTlsName } from '../names.ts';
import { readSecret, textOf } from '../secrets.ts';
import { ownerAccess, trustOf } from './database.ts';
import type { InfrastructureFault } from './fault.ts';
import { replicaAccess } from './replica.ts';

export async function farmAccess(
  client: Client,
  farm: Farm,
  signal: AbortSignal,
): Promise<Result<{ readonly database: DatabaseAccess; readonly replica?: RedisAccess }, InfrastructureFault>> {
  const [database, replica] = await Promise.all([
    ownerAccess(client, farm, signal),
    replicaAccess(client, farm, signal),
  ]);
  if (!database.ok) return database;
  // Without a replica edits and reads of the database go on.
  return ok({ database: database.value, ...(replica.ok && replica.value ? { replica: replica.value } : {}) });
}

/** By what the operator asks the farm's servers. */
export async function controlIdentity(
  client: Client,
  { metadata: { name, namespace } }: Farm,
  signal: AbortSignal,
): Promise<Result<ControlIdentity, Fault>> {
  const [authority, pair] = await Promise.all([
    readSecret(client, namespace, authorityName(name), { signal }),
    readSecret(client, namespace, operatorTlsName(name), { signal }),
  ]);
  if (!authority.ok) return authority;
  if (!pair.ok) return pair;
  if (!authority.value || !pair.value)
    return fail('SecretMissing', `Farm ${namespace}/${name} has no certificates yet: see its conditions`);
  return ok({ ca: trustOf(authority.value), cert: textOf(pair.value, 'tls.crt'), key: textOf(pair.value, 'tls.key') });
}
