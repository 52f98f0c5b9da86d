/** What the database says that statuses are made of. */
import type { Database } from '../database/connection.ts';
import { snapshot } from '../database/project.ts';
import { sessionCounts } from '../database/servers.ts';
import type { Use } from './uses.ts';

export interface FarmRows {
  readonly servers: readonly { readonly name: string; readonly pool: string }[];
  /** Manifest digest of what is right, by vDisk and version. */
  readonly recorded: ReadonlyMap<string, ReadonlyMap<number, string>>;
  /** When they had been read. */
  readonly atMs: number;
  /** Sessions that have not ended. */
  readonly uses: readonly Use[];
}

/** Undefined while the database is away. */
export async function readRows(database: Database): Promise<FarmRows | undefined> {
  const [rows, uses] = await Promise.all([snapshot(database), sessionCounts(database)]);
  if (!rows.ok || !rows.value || !uses.ok) return undefined;
  const recorded = new Map<string, Map<number, string>>();
  for (const { vdisk, number, content } of rows.value.versions) {
    const versions = recorded.get(vdisk) ?? new Map<number, string>();
    if (content) versions.set(number, content.manifest);
    recorded.set(vdisk, versions);
  }
  return { servers: rows.value.servers, recorded, atMs: performance.now(), uses: uses.value };
}
