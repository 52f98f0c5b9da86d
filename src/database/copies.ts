/** Copies: what the operator judged of each version on each server, and which of them a person said is right. */
import { sql } from 'kysely';
import type { Copy, Session, Version, VersionFile } from '../farm/model.ts';
import { parseCopy } from '../farm/parse.ts';
import { type Answer, type Database, transact } from './connection.ts';
import type { Actor } from './devices.ts';
import { readPage } from './kinds.ts';

/** What is recorded of a copy of one vDisk; since when it is so is the database's to say. */
export interface CopyRow extends Omit<Copy, 'vdisk' | 'since' | 'reportedAt'> {
  /** In Conflict alone: what it would be that is right. */
  readonly files?: readonly VersionFile[];
}

/** What is to be written of one vDisk. */
export interface CopyChanges {
  readonly put: readonly CopyRow[];
  readonly gone: readonly Pick<CopyRow, 'server' | 'version'>[];
}

/** All of them in one transaction. A row that is as it was is not touched. */
export function recordCopies(database: Database, vdisk: string, { put, gone }: CopyChanges): Answer<void> {
  const rows = put.map(({ progressPercent = 100, secondsLeft, verifiedAt, ...row }) => ({
    ...{ ...row, vdisk, progress_percent: progressPercent, seconds_left: secondsLeft },
    verified_at: verifiedAt === undefined ? undefined : new Date(1_000 * verifiedAt),
  }));
  return database.run((db) =>
    transact(db, async (trx) => {
      if (gone.length > 0)
        await sql`delete from copy using jsonb_to_recordset(${JSON.stringify(gone)}::jsonb) as gone (server text, version integer)
          where copy.vdisk = ${vdisk} and copy.server = gone.server and copy.version = gone.version`.execute(trx);
      if (rows.length > 0)
        await sql`
          insert into copy (server, vdisk, version, state, progress_percent, seconds_left, manifest, message, verified_at, files)
          select server, vdisk, version, state, progress_percent, seconds_left, manifest, message, verified_at, files
          from jsonb_populate_recordset(null::copy, ${JSON.stringify(rows)}::jsonb)
          on conflict (server, vdisk, version) do update set state = excluded.state, progress_percent = excluded.progress_percent,
            seconds_left = excluded.seconds_left, manifest = excluded.manifest, message = excluded.message,
            verified_at = excluded.verified_at, files = excluded.files, reported_at = now(),
            since = case when copy.state = excluded.state then copy.since else now() end
          where (copy.state, copy.progress_percent, copy.manifest, copy.message, copy.verified_at, copy.files)
            is distinct from (excluded.state, excluded.progress_percent, excluded.manifest, excluded.message, excluded.verified_at, excluded.files)`.execute(
          trx,
        );
    }),
  );
}

/** What is recorded of one vDisk. */
export function copiesOf(database: Database, vdisk: string): Answer<readonly CopyRow[]> {
  return database.run(async (db) => {
    const rows = await db.selectFrom('copy').selectAll().where('vdisk', '=', vdisk).execute();
    return rows.map(
      ({ server, version, state, progress_percent, seconds_left, manifest, message, verified_at, files }) => ({
        ...{ server, version, state, message },
        ...(state === 'Copying' ? { progressPercent: progress_percent } : {}),
        ...(seconds_left === null ? {} : { secondsLeft: seconds_left }),
        ...(manifest === null ? {} : { manifest }),
        ...(verified_at === null ? {} : { verifiedAt: Math.round(verified_at.getTime() / 1_000) }),
        ...(files === null ? {} : { files }),
      }),
    );
  });
}

const PAGE = 2_000;

/** Of all vDisks. An entry that is not as the farm model says is left out. */
export function allCopies(database: Database): Answer<readonly Copy[]> {
  return database.run(async (db) => {
    const found: Copy[] = [];
    for (let after = ''; ; ) {
      const page = await readPage(db, 'copy', after, PAGE);
      for (const { json } of page) {
        const copy = parseCopy(json);
        if (copy.ok) found.push(copy.value);
      }
      if (page.length < PAGE) return found;
      after = page.at(-1)?.key ?? after;
    }
  });
}

export interface VersionsUsed {
  readonly sessions: readonly Pick<Session, 'device' | 'vdisk' | 'version'>[];
  /** On servers that registered within the last minute: while no operator judges, the others may be gone. */
  readonly copies: readonly Pick<Copy, 'server' | 'vdisk' | 'version' | 'state'>[];
}

/** Which devices use which versions, and what their copies are worth. */
export function versionsUsed(database: Database): Answer<VersionsUsed> {
  return database.run(async (db) => ({
    sessions: await db
      .selectFrom('session')
      .select(['device', 'vdisk', 'version'])
      .where('ended', '=', false)
      .execute(),
    copies: await db
      .selectFrom('copy')
      .innerJoin('server', 'server.name', 'copy.server')
      .select(['server', 'vdisk', 'version', 'state'])
      .where('server.heartbeat', '>', sql<Date>`now() - interval '1 minute'`)
      .execute(),
  }));
}

/** What became of it. */
export type Accepted = 'Accepted' | 'Unchanged' | { readonly right: string } | 'NoVersion';

/**
 * A person says what is right of a version of which nobody had said it; something else that is right by now stays (`right`: its manifest). Leaves a
 * line in `audit`.
 */
export function acceptContent(
  database: Database,
  { vdisk, number, server }: { readonly vdisk: string; readonly number: number; readonly server: string },
  content: NonNullable<Version['content']>,
  actor: Actor,
): Answer<Accepted> {
  return database.run((db) =>
    transact(db, async (trx): Promise<Accepted> => {
      const version = trx
        .selectFrom('vdisk_version')
        .select('content')
        .where('vdisk', '=', vdisk)
        .where('number', '=', number)
        .where('listed', '=', true)
        .forUpdate();
      const there = await version.executeTakeFirst();
      if (!there) return 'NoVersion';
      if (there.content)
        return there.content.manifest === content.manifest ? 'Unchanged' : { right: there.content.manifest };
      await trx
        .updateTable('vdisk_version')
        .set({ content: sql`${JSON.stringify(content)}::jsonb`, settled_at: null })
        .where('vdisk', '=', vdisk)
        .where('number', '=', number)
        .execute();
      const change = { action: 'accept', kind: 'version', name: `${vdisk}/${number}`, before: null };
      await trx
        .insertInto('audit')
        .values({ ...actor, ...change, after: { server, manifest: content.manifest } })
        .execute();
      return 'Accepted';
    }),
  );
}
