/** What the role of the servers may do with each table, and the way there from what it may do now. Pure. */
import type { Tables } from './tables.ts';

export type Privilege = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';
export type Grants = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Least right: what is read when the follower holds nothing (`data.ts`), what servers write of themselves (`servers.ts`), what AutoAdd
 * inserts, and which UUIDs two machines have (`devices.ts`). No device, collection or version is ever changed or removed by a server. Every table has a line; the compiler asks.
 */
export const SERVER_GRANTS: Readonly<Record<keyof Tables, readonly Privilege[]>> = {
  farm: ['SELECT'],
  site: ['SELECT'],
  collection: ['SELECT'],
  store: ['SELECT'],
  vdisk: ['SELECT'],
  vdisk_version: ['SELECT'],
  version_override: ['SELECT'],
  device: ['SELECT', 'INSERT'],
  device_mac: ['SELECT', 'INSERT'],
  shared_uuid: ['SELECT', 'INSERT'],
  server: ['SELECT', 'INSERT', 'UPDATE'],
  removed: ['SELECT'],
  session: ['SELECT', 'INSERT', 'UPDATE'],
  // The operator says what they are worth.
  copy: ['SELECT'],
  // Entries that no journal brings again are pruned where the new ones are written.
  journal_entry: ['SELECT', 'INSERT', 'DELETE'],
  audit: ['INSERT'],
  server_pool: [],
  dirty: [],
  // A server proves whose database it is, and of which state.
  feed_cursor: ['SELECT'],
  leader: ['SELECT'],
};

export interface GrantStep {
  readonly kind: 'grant' | 'revoke';
  readonly table: string;
  readonly privileges: readonly string[];
}

/** Empty when `have` is what it should be. A table that is not there yet gets nothing; one of a later release keeps nothing. */
export function grantSteps(
  tables: readonly string[],
  have: Grants,
  want: Readonly<Record<string, readonly string[]>> = SERVER_GRANTS,
): readonly GrantStep[] {
  return tables.flatMap((table): GrantStep[] => {
    const [held, wanted] = [have.get(table) ?? new Set<string>(), want[table] ?? []];
    const lacking = wanted.filter((privilege) => !held.has(privilege));
    const beyond = [...held].filter((privilege) => !wanted.includes(privilege)).sort();
    return [
      ...(lacking.length > 0 ? [{ kind: 'grant', table, privileges: lacking } as const] : []),
      ...(beyond.length > 0 ? [{ kind: 'revoke', table, privileges: beyond } as const] : []),
    ];
  });
}
