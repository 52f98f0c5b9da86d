/** Texts of redis.conf for the primary and for the follower beside each server. Checked against Redis 7.0. */
import { createHash } from 'node:crypto';

/** The user that followers replicate as, and the one of the projector. */
export const FOLLOWER_USER = 'follower';
export const PROJECTOR_USER = 'projector';

/**
 * The primary is a projection: losing it costs a rebuild. The follower user is off in this text, hence at each start, so that a primary
 * that comes back empty cannot wipe its followers; the projector switches it on when the data is whole. Passwords enter as digests.
 */
export function primaryConfig(options: {
  readonly port: number;
  readonly folder: string;
  readonly projectorPassword: string;
  readonly followerPassword: string;
}): string {
  return lines([
    `port ${options.port}`,
    'protected-mode no', // users without a password do not exist
    `dir ${quoted(options.folder)}`,
    'appendonly yes',
    'save ""',
    'maxmemory-policy noeviction',
    'repl-backlog-size 16mb', // a follower that was away for a moment catches up without a full copy
    'repl-diskless-sync yes',
    'repl-diskless-sync-delay 0',
    'lazyfree-lazy-user-del yes',
    'user default off',
    `user ${PROJECTOR_USER} on #${digest(options.projectorPassword)} ~* &* +@all`,
    `user ${FOLLOWER_USER} off #${digest(options.followerPassword)} resetkeys resetchannels -@all +psync +replconf +ping`,
  ]);
}

/** The follower keeps the farm on the node's disk and answers on a socket alone, with the primary or without. */
export function followerConfig(options: {
  readonly primaryHost: string;
  readonly primaryPort: number;
  readonly followerPassword: string;
  /** On a volume that only the server's containers share. */
  readonly socketPath: string;
  readonly folder: string;
}): string {
  return lines([
    'port 0',
    `unixsocket ${quoted(options.socketPath)}`,
    'unixsocketperm 770',
    `dir ${quoted(options.folder)}`,
    'appendonly yes',
    'save ""',
    'maxmemory-policy noeviction',
    `replicaof ${options.primaryHost} ${options.primaryPort}`,
    `masteruser ${FOLLOWER_USER}`,
    `masterauth ${quoted(options.followerPassword)}`,
    'replica-read-only yes',
    'replica-serve-stale-data yes',
    'replica-ignore-disk-write-errors yes', // a full disk of the node must not stop it from following
    'repl-diskless-load swapdb', // the old data stays until the new has arrived whole
    'stop-writes-on-bgsave-error no',
  ]);
}

const lines = (all: readonly string[]): string => `${all.join('\n')}\n`;
const digest = (password: string): string => createHash('sha256').update(password).digest('hex');

/** redis.conf takes C-like strings; what it cannot take is a bug of the caller. */
function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new Error('redis.conf: only printable ASCII');
  return JSON.stringify(text);
}
