/** What the follower beside a server says of versions and of who uses them, where it is current. */
import type { Copy, FarmSnapshot, Session } from '../farm/model.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { replicaCopies, replicaSessions } from './devices.ts';
import { openReplica } from './reader.ts';

/** A leader confirms each second that the replica is the database's state. */
const REPLICA_MS = 60_000;

interface Known {
  readonly snapshot: FarmSnapshot;
  /** Those that have not ended. */
  readonly sessions: readonly Session[];
  readonly copies: readonly Copy[];
}

/** `FarmUnknown`: it is older than a minute, by the clocks of this server and of the operator. */
export async function askReplica(socketPath: string): Promise<Result<Known, Fault>> {
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
