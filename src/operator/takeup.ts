/** Who is let in, and who has taken up what: asked of the database and the replica as they are. */
import type { Answer, Database } from '../database/connection.ts';
import { ensureServerAccess, logsIn, otherTurn, retireServerRole, type ServerAccess } from '../database/roles.ts';
import { ok } from '../kit/result.ts';
import { openOnce } from '../replica/link.ts';
import type { Infrastructure } from './infrastructure.ts';

/** The logins of servers, as their Secret says: the one in use, the next one beside it, or that one alone. */
export async function grantServers(
  database: Database,
  { database: owner, serverLogins, givenServerUri: given }: Infrastructure,
): Answer<ServerAccess> {
  const { current, next, isAlone } = serverLogins;
  if (given !== undefined) return ensureServerAccess(database, { ...owner, ...current, given });
  const access = await ensureServerAccess(database, { ...owner, ...current });
  if (!access.ok) return access;
  const after = next && (await ensureServerAccess(database, { ...owner, ...next }));
  if (after && !after.ok) return after;
  const retired = isAlone ? await retireServerRole(database, otherTurn(current.turn)) : undefined;
  return retired && !retired.ok ? retired : access;
}

export interface ServerPlace {
  readonly pool: string;
  readonly node: string;
}

/**
 * Who has not taken up what these inputs say.
 * @param granted what servers may log in as now.
 * @param tookUp the servers that run with it, by pool.
 */
export async function whoLacks(
  { serverUri, provenDatabase, provenRedis }: Infrastructure,
  granted: ServerAccess | undefined,
  tookUp: ReadonlyMap<string, ReadonlySet<string>>,
  servers: readonly ServerPlace[],
): Promise<readonly string[]> {
  const [database, replica] = await Promise.all([
    provenDatabase ? logsIn(provenDatabase) : ok(undefined),
    openOnce(provenRedis),
  ]);
  if (replica.ok) replica.value.disconnect();
  const isGranted = granted !== undefined && granted.uri === serverUri;
  return [
    ...(database.ok && isGranted ? [] : ['the database']),
    ...(replica.ok ? [] : ['the replica']),
    ...servers.flatMap(({ pool, node }) => (tookUp.get(pool)?.has(node) ? [] : [`server ${node}`])),
  ];
}
