/** What the database says that statuses are made of. */
import type { Database } from '../database/connection.ts';
import { snapshot } from '../database/project.ts';
import { sessionCounts } from '../database/servers.ts';
import type { Store, VDisk, VersionOverride } from '../farm/model.ts';
import type { Use } from './uses.ts';

export interface FarmRows {
  readonly servers: readonly { readonly name: string; readonly pool: string }[];
  /** What is right of versions, by vDisk and version. */
  readonly recorded: ReadonlyMap<string, ReadonlyMap<number, Recorded>>;
  readonly overrides: readonly VersionOverride[];
  /** Where vDisks are to be, and where they were, as servers know it; by name. */
  readonly places: ReadonlyMap<string, Place>;
  readonly stores: readonly Store[];
  /** When they had been read. */
  readonly atMs: number;
  /** Sessions that have not ended. */
  readonly uses: readonly Use[];
}

export type Place = Pick<VDisk, 'store' | 'moving'>;

export interface Recorded {
  /** Digest of its manifest. */
  readonly manifest: string;
  /** Unix seconds: since when enough servers had it. */
  readonly settledAt?: number;
}

/** Undefined while the database is away. */
export async function readRows(database: Database): Promise<FarmRows | undefined> {
  const [rows, uses] = await Promise.all([snapshot(database), sessionCounts(database)]);
  if (!rows.ok || !rows.value || !uses.ok) return undefined;
  const { servers, overrides, stores, vdisks } = rows.value;
  const places = new Map(
    vdisks.map(({ name, store, moving }) => [name, { store, ...(moving ? { moving } : {}) }] as const),
  );
  const recorded = new Map<string, Map<number, Recorded>>();
  for (const { vdisk, number, content, settledAt } of rows.value.versions) {
    const versions = recorded.get(vdisk) ?? new Map<number, Recorded>();
    const settled = settledAt === undefined ? {} : { settledAt };
    if (content) versions.set(number, { manifest: content.manifest, ...settled });
    recorded.set(vdisk, versions);
  }
  return { servers, recorded, overrides, places, stores, atMs: performance.now(), uses: uses.value };
}
