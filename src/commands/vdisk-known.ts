/** What the farm knows of versions and of who uses them: the database where it is named and answers, else the follower beside this server. */
import { connect } from '../database/connection.ts';
import { versionsUsed } from '../database/copies.ts';
import { snapshot } from '../database/project.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { askReplica } from '../replica/known.ts';
import type { FarmKnowledge } from '../store/deletion.ts';

export interface Sources {
  readonly databaseUri?: string;
  /** Of the follower. */
  readonly replicaSocket?: string;
}

export async function askFarm({ databaseUri, replicaSocket }: Sources): Promise<Result<FarmKnowledge, Fault>> {
  const database = databaseUri === undefined ? undefined : await askDatabase(databaseUri);
  if (database?.ok) return database;
  if (replicaSocket !== undefined) return askReplica(replicaSocket);
  return (
    database ??
    fail('FarmUnknown', 'none is named: give --database-uri-file, or run it in the container `work` of a server')
  );
}

async function askDatabase(uri: string): Promise<Result<FarmKnowledge, Fault>> {
  const opened = connect({ uri, applicationName: 'bootfarm vdisk' });
  if (!opened.ok) return opened;
  const database = opened.value;
  try {
    const rows = await snapshot(database);
    if (!rows.ok) return rows;
    if (!rows.value) return fail('FarmUnknown', 'the database holds no farm yet');
    const used = await versionsUsed(database);
    return used.ok ? ok({ snapshot: rows.value, ...used.value }) : used;
  } finally {
    await database.close();
  }
}
