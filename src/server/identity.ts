/**
 * Is the database behind the uri this server's farm's? Its own follower knows; while that holds nothing, the mark that an earlier process left in
 * the state directory. A server that knows nothing takes the first. What fails is taken for away: neither read nor written, and the journal is kept.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseOptions } from '../database/connection.ts';
import { readIdentity } from '../database/identity.ts';
import { describeKinship, type Identity, identityMark, judgeDatabase, reasonOf } from '../farm/identity.ts';
import type { FarmReplica } from '../replica/reader.ts';
import type { Logger } from '../telemetry/log.ts';
import { writeMark } from './statedirectory.ts';

export interface ServerIdentity {
  readonly prove: NonNullable<DatabaseOptions['prove']>;
  /** The farm that this server's follower holds, as it was last seen. */
  readonly held: Identity | undefined;
}

export function serverIdentity(
  replica: Pick<FarmReplica, 'identity'>,
  stateDirectory: string,
  log: Logger,
): ServerIdentity {
  const path = join(stateDirectory, 'farm');
  let held: Identity | undefined;
  let marked = readMark(path);
  const mark = (identity: Identity): void => {
    if (marked?.farm === identity.farm && marked.adoptions === identity.adoptions) return;
    marked = identity;
    try {
      writeMark(path, identityMark(identity));
    } catch (error) {
      log.warn({ path, error }, 'the mark of this farm was not written'); // its follower knows, too
    }
  };
  return {
    get held() {
      return held;
    },
    async prove(db) {
      const answer = await replica.identity();
      held = answer.ok ? answer.value : undefined;
      if (held) mark(held);
      const known = held ?? marked;
      const found = await readIdentity(db);
      const kinship = known ? judgeDatabase(known, found) : 'Same';
      if (!known || kinship === 'Same') {
        if (!known && found.farm !== undefined) mark({ ...found, farm: found.farm });
        return undefined;
      }
      const holder = held ? "this server's replica" : `what this server was of (${path})`;
      return {
        code: reasonOf(kinship),
        message: `${describeKinship(kinship, holder, known, found)}: the database is not used. The Farm's status says the ways out`,
      };
    },
  };
}

/** One line, FARM@ADOPTIONS: whatever else is there is no mark. */
function readMark(path: string): Identity | undefined {
  try {
    const [, farm, adoptions] = /^(\S{1,64})@(\d{1,9})\n$/.exec(readFileSync(path, 'utf8')) ?? [];
    return farm === undefined ? undefined : { farm, adoptions: Number(adoptions), revision: 0 };
  } catch {
    return undefined;
  }
}
