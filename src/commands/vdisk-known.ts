/** What the farm knows of versions and of who uses them: the database where it is named and answers, else the follower beside this server. */
import { connect } from '../database/connection.ts';
import { versionsUsed } from '../database/copies.ts';
import { snapshot } from '../database/project.ts';

import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { replicaCopies, replicaSessions } from '../replica/devices.ts';
import { openReplica } from '../replica/reader.ts';
import type { FarmKnowledge } from '../store/deletion.ts';

/** A leader confirms each second that the replica is the database's state. */
const REPLICA_MS = 60_000;

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

async function askReplica(socketPath: string): Promise<Result<FarmKnowledge, Fault>> {
  const replica = openReplica({ socketPath });
  try {
    const [rows, at, sessions, copies] = [
      await replica.snapshot(),
      await replica.checkedAt(),
      await replicaSessions(socketPath),
      await replicaCopies(socketPath),
    ];
    if (!rows.ok) return rows;
    if (!at.ok) return at;
    if (!sessions.ok) return sessions;
    if (!copies.ok) return copies;
    const ageMs = Date.now() - at.value;
    if (Math.abs(ageMs) < REPLICA_MS)
      return ok({ snapshot: rows.value, sessions: sessions.value, copies: copies.value });
    return fail(
      'FarmUnknown',
      `the replica beside this server is as the database was ${Math.round(ageMs / 1_000)} s ago, by the clocks of this server and of the operator`,
    );
  } finally {
    await replica.close();
  }
}
