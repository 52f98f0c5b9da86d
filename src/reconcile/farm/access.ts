/** How a farm's database and replica are reached, for whoever reads and edits beside the reconciles: nothing is made. */
import type { DatabaseAccess } from '../../database/connection.ts';
import { ok, type Result } from '../../kit/result.ts';
import type { Client } from '../../kube/client.ts';
import type { RedisAccess } from '../../replica/link.ts';
import type { Farm } from '../../resources/kinds.ts';
import { ownerAccess } from './database.ts';
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
