/** Which database a Farm has, and how its servers are asked, by the Kubernetes API: where `bootfarm device --farm` runs, in the pod of the operator. */
import type { V1Node } from '@kubernetes/client-node';
import { type AskedServer, type ControlClient, controlClient } from '../control/client.ts';
import type { DatabaseAccess } from '../database/connection.ts';
import type { Server } from '../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { apiOfProcess } from '../kube/config.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject } from '../kube/object.ts';
import type { Live } from '../kube/wire.ts';
import { controlIdentity } from '../reconcile/farm/access.ts';
import { ownerAccess } from '../reconcile/farm/database.ts';
import type { Farm } from '../resources/kinds.ts';
import { parse } from '../resources/parse.ts';

const DEADLINE_MS = 10_000;

/** `farm`: NAMESPACE/NAME. */
export const databaseOfFarm = (farm: string): Promise<Result<DatabaseAccess, Fault>> =>
  withFarm(farm, (client, found, signal) => ownerAccess(client, found, signal));

export interface FarmControl {
  readonly control: ControlClient;
  /** Where each server's control port is: at its node's own address, whatever network it serves on. */
  readonly places: readonly AskedServer[];
}

/** With the operator's own certificate. `servers` as they registered. */
export const controlOfFarm = (farm: string, servers: readonly Server[]): Promise<Result<FarmControl, Fault>> =>
  withFarm(farm, async (client, found, signal) => {
    const identity = await controlIdentity(client, found, signal);
    if (!identity.ok) return identity;
    const places = await Promise.all(servers.map((server) => placeOf(client, server, signal)));
    return ok({ control: controlClient(identity.value), places });
  });

/** A server is named as its node. Of one that is gone, the address that it registered. */
async function placeOf(client: Client, { name, address, ports }: Server, signal: AbortSignal): Promise<AskedServer> {
  const node = await client.get<Live<V1Node>>(at(kinds.Node, undefined, name), { signal });
  const own = node.ok ? node.value.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address : undefined;
  return { name, address: own ?? address, port: ports.control };
}

async function withFarm<T>(
  farm: string,
  work: (client: Client, farm: Farm, signal: AbortSignal) => Promise<Result<T, Fault>>,
): Promise<Result<T, Fault>> {
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
    return parsed.ok ? await work(client, parsed.value, signal) : parsed;
  } finally {
    await client.close();
  }
}
