/** What Production devices boot in place of what the resources say: of `bootfarm rollback`. Each change leaves a line in `audit`. */
import { type Kysely, sql } from 'kysely';
import type { VersionOverride } from '../farm/model.ts';
import { type Answer, type Database, transact } from './connection.ts';
import type { Actor } from './devices.ts';
import type { Tables } from './tables.ts';

/** All or none. `Conflict`: one of the vDisks went meanwhile. */
export function setOverrides(database: Database, overrides: readonly VersionOverride[], actor: Actor): Answer<void> {
  return database.run((db) =>
    transact(db, async (trx) => {
      for (const override of overrides) {
        const { vdisk, version, until = null } = override;
        const before = await overrideIn(trx, vdisk);
        if (before && before.version === version && before.until === until) continue;
        const row = { version, until, who: actor.who };
        await trx
          .insertInto('version_override')
          .values({ vdisk, ...row })
          .onConflict((there) => there.column('vdisk').doUpdateSet({ ...row, at: sql`now()` }))
          .execute();
        const change = { action: 'override', kind: 'vdisk', name: vdisk, before, after: { version, until } };
        await trx
          .insertInto('audit')
          .values({ ...actor, ...change })
          .execute();
      }
    }),
  );
}

/** Of these vDisks, or of all; gives those that had one. */
export function clearOverrides(
  database: Database,
  vdisks: readonly string[] | undefined,
  actor: Actor,
): Answer<readonly string[]> {
  return database.run((db) =>
    transact(db, async (trx) => {
      let cleared = trx.deleteFrom('version_override');
      if (vdisks) cleared = cleared.where('vdisk', 'in', [...vdisks]);
      const rows = await cleared.returning(['vdisk', 'version', 'until']).execute();
      for (const { vdisk, version, until } of rows) {
        const change = {
          action: 'clear-override',
          kind: 'vdisk',
          name: vdisk,
          before: { version, until },
          after: null,
        };
        await trx
          .insertInto('audit')
          .values({ ...actor, ...change })
          .execute();
      }
      return rows.map(({ vdisk }) => vdisk).sort();
    }),
  );
}

async function overrideIn(
  db: Kysely<Tables>,
  vdisk: string,
): Promise<Pick<Tables['version_override'], 'version' | 'until'> | null> {
  const query = db.selectFrom('version_override').select(['version', 'until']).where('vdisk', '=', vdisk);
  return (await query.executeTakeFirst()) ?? null;
}
