/** What a server is made of before anything listens: its address, keys, database and journal, opened as its configuration says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerConfig } from '../control/config.ts';
import { connect, type Database } from '../database/connection.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Journal, openJournal } from '../replica/journal.ts';
import { type FarmReplica, openReplica } from '../replica/reader.ts';
import type { Logger } from '../telemetry/log.ts';
import { chooseAddress, type NodeAddress } from './config.ts';
import { type ServerIdentity, serverIdentity } from './identity.ts';
import { Keys, readKeys } from './keys.ts';
import { openStateDirectory } from './statedirectory.ts';

export interface Parts {
  readonly config: ServerConfig;
  readonly node: NodeAddress;
  readonly keys: Keys;
  readonly replica: FarmReplica;
  readonly identity: ServerIdentity;
  readonly database: Database;
  readonly journal: Journal;
  readonly log: Logger;
}

export async function openParts(config: ServerConfig, log: Logger): Promise<Result<Parts, Fault>> {
  const node = chooseAddress(config, process.env['NODE_ADDRESS']);
  if (!node.ok) return node;
  const ring = readKeys(config.keysDirectory);
  if (!ring.ok) return ring;
  const uri = readText(config.databaseUriFile);
  if (!uri.ok) return uri;
  const state = openStateDirectory(config.stateDirectory, config.lineage);
  if (!state.ok) return state;
  const journal = await openJournal(join(config.stateDirectory, 'journal'));
  if (journal.dropped > 0) log.warn({ lines: journal.dropped }, 'journal: lines that were not whole were dropped');
  const replica = openReplica({ socketPath: config.replicaSocket });
  const identity = serverIdentity(replica, config.stateDirectory, log);
  const applicationName = `bootfarm server ${config.name}`;
  const database = connect({ uri: uri.value, applicationName, prove: identity.prove });
  if (!database.ok) {
    await replica.close(); // or the process would not end
    return fail(database.error.code, `${config.databaseUriFile}: ${database.error.message}`);
  }
  const keys = new Keys(config.keysDirectory, ring.value, log);
  return ok({
    config,
    node: node.value,
    keys,
    replica,
    identity,
    database: database.value,
    journal,
    log,
  });
}

function readText(path: string): Result<string, Fault<'FileUnreadable'>> {
  try {
    return ok(readFileSync(path, 'utf8').trim());
  } catch (error) {
    return fail('FileUnreadable', `${path}: ${errorMessage(error)}`);
  }
}
