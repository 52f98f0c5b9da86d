/** Texts of redis.conf for the primary and for the follower beside each server, and of the primary's users. Checked against Redis 7.0. */
import { createHash } from 'node:crypto';

/** The user that followers replicate as, the one of the projector, and who reads at a follower's socket. */
export const FOLLOWER_USER = 'follower';
export const PROJECTOR_USER = 'projector';
export const READER_USER = 'reader';

/**
 * Redis loads its own file as the default user, and skips each transaction in it that this user may not do (7.0: NOPERM in the log, and it goes on):
 * all that came since the file was written anew would be gone at the next start. So this user may do everything, and nobody can be it.
 */
const LOADER = 'user default off resetpass ~* &* +@all';

/**
 * The primary is a projection: losing it costs a rebuild. It begins as a replica of nothing, which takes writes and turns followers away
 * (NOMASTERLINK), so that one that comes back empty cannot wipe them; the projector ends that when the data is whole. TLS alone, and no
 * certificate of a client: users have passwords.
 */
export function primaryConfig(options: {
  readonly port: number;
  readonly folder: string;
  /** Holds tls.crt, tls.key, ca.crt and users.acl. */
  readonly secrets: string;
}): string {
  const { port, folder, secrets } = options;
  return lines([
    'port 0',
    `tls-port ${port}`,
    ...tls(secrets),
    'tls-auth-clients no',
    'protected-mode no', // users without a password do not exist
    `dir ${quoted(folder)}`,
    'appendonly yes',
    'save ""',
    'maxmemory-policy noeviction',
    'repl-backlog-size 16mb', // a follower that was away for a moment catches up without a full copy
    'repl-diskless-sync yes',
    'repl-diskless-sync-delay 0',
    'lazyfree-lazy-user-del yes',
    'replicaof 127.0.0.1 1', // nothing listens there
    'replica-read-only no',
    `aclfile ${quoted(`${secrets}/users.acl`)}`,
  ]);
}

/**
 * What each user does, and no more: who has the projector's password writes the farm's keys and opens the primary for followers; it cannot
 * make users, change settings, run scripts or replicate from elsewhere (`replicaof|no` is REPLICAOF NO ONE).
 * ACLs hold several passwords a user, so that a new one is valid before the old one ends. They enter as digests.
 */
export function primaryUsers(passwords: {
  readonly projector: readonly string[];
  readonly follower: readonly string[];
}): string {
  return lines([
    LOADER,
    `user ${PROJECTOR_USER} on ${digests(passwords.projector)} resetkeys ~bootfarm:* resetchannels -@all ${PROJECTOR_RIGHTS}`,
    `user ${FOLLOWER_USER} on ${digests(passwords.follower)} resetkeys resetchannels -@all ${FOLLOWER_RIGHTS}`,
  ]);
}

const PROJECTOR_RIGHTS =
  '+ping +watch +unwatch +multi +exec +hgetall +hlen +hset +hdel +unlink +rename +scan +info +replicaof|no';
const FOLLOWER_RIGHTS = '+ping +psync +replconf';

/** The follower keeps the farm on the node's disk and answers on a socket alone, with the primary or without. Its socket is for reading. */
export function followerConfig(options: {
  readonly primaryHost: string;
  readonly primaryPort: number;
  readonly followerPassword: string;
  /** Holds ca.crt, and tls.crt and tls.key, which Redis wants to see although nobody asks for them. */
  readonly secrets: string;
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
    ...tls(options.secrets),
    `replicaof ${options.primaryHost} ${options.primaryPort}`,
    `masteruser ${FOLLOWER_USER}`,
    `masterauth ${quoted(options.followerPassword)}`,
    'replica-read-only yes',
    'replica-serve-stale-data yes',
    'replica-ignore-disk-write-errors yes', // a full disk of the node must not stop it from following
    'repl-diskless-load swapdb', // the old data stays until the new has arrived whole
    'stop-writes-on-bgsave-error no',
    LOADER,
    `user ${READER_USER} on nopass resetkeys ~bootfarm:* resetchannels -@all +@read +@transaction +ping +info`,
  ]);
}

const tls = (folder: string): readonly string[] => [
  'tls-replication yes',
  `tls-cert-file ${quoted(`${folder}/tls.crt`)}`,
  `tls-key-file ${quoted(`${folder}/tls.key`)}`,
  `tls-ca-cert-file ${quoted(`${folder}/ca.crt`)}`,
  'tls-protocols TLSv1.3',
];

const lines = (all: readonly string[]): string => `${all.join('\n')}\n`;
const passwordDigest = (password: string): string => createHash('sha256').update(password).digest('hex');
const digests = (passwords: readonly string[]): string =>
  passwords.map((password) => `#${passwordDigest(password)}`).join(' ');

/** redis.conf takes C-like strings; what it cannot take is a bug of the caller. */
function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new Error('redis.conf: only printable ASCII');
  return JSON.stringify(text);
}
