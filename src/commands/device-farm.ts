/** Which database a Farm has, asked of the Kubernetes API: where `bootfarm device --farm` runs, in the pod of the operator. */
import type { DatabaseAccess } from '../database/connection.ts';
import { type Fault, fail, type Result } from '../kit/result.ts';
import { apiOfProcess } from '../kube/config.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject } from '../kube/object.ts';
import { ownerAccess } from '../reconcile/farm/database.ts';
import { parse } from '../resources/parse.ts';

const DEADLINE_MS = 10_000;

/** `farm`: NAMESPACE/NAME. */
export async function databaseOfFarm(farm: string): Promise<Result<DatabaseAccess, Fault>> {
  const [, namespace, name] = /^([^/]+)\/([^/]+)$/.exec(farm) ?? [];
  if (namespace === undefined || name === undefined)
    return fail('BadName', `--farm ${farm}: it must look like NAMESPACE/NAME`);
  const api = apiOfProcess();
  if (!api.ok) return api;
  const client = api.value;
  try {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const found = await client.get<KubeObject>(at(kinds.Farm, namespace, name), { signal });
    if (!found.ok) return fail(found.error.code, `Farm ${farm}: ${found.error.message}`);
    const parsed = parse('Farm', found.value);
    return parsed.ok ? await ownerAccess(client, parsed.value, signal) : parsed;
  } finally {
    await client.close();
  }
}
