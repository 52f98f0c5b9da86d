/** The primary and a follower of a replica as the operator configures them: TLS from an authority, users with least rights. Real processes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KeyPair, makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import { followerConfig, PROJECTOR_USER, primaryConfig, primaryUsers } from '../../src/replica/config.ts';
import { freePort } from '../setup/ports.ts';
import { type RedisServer, startRedis } from '../setup/services.ts';

const ADDRESS = '127.0.0.1';
const PROJECTOR_PASSWORD = 'projector-secret';
const FOLLOWER_PASSWORD = 'follower-secret';
/** For looks of a test that the users of the product have no right to. */
const TEST_USER = 'test';

interface FollowerPlace {
  readonly folder: string;
  readonly socketPath: string;
}

export interface ReplicaServers {
  readonly primary: RedisServer;
  readonly follower: RedisServer;
  readonly authority: KeyPair;
  /** What a projector connects to. */
  readonly redis: { readonly url: string; readonly ca: string };
  /** The same as a user with every right. */
  readonly testUrl: string;
  /** Holds what the primary's Secret holds. */
  readonly secrets: string;
  /** Of one more follower. */
  followerConfig(own: FollowerPlace): string;
  close(): Promise<void>;
}

/** A folder with a certificate for `ADDRESS`, as a Secret is mounted. */
async function tlsFolder(folder: string, authority: KeyPair): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const subject = { names: ['localhost'], addresses: [ADDRESS], use: 'server' } as const;
  const { cert, key } = await makeCertificate(authority, subject, Date.now());
  const files = { 'tls.crt': cert, 'tls.key': key, 'ca.crt': authority.cert };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

export async function startReplica(): Promise<ReplicaServers> {
  const authority = await makeAuthority('replica', Date.now());
  const secrets = await tlsFolder(mkdtempSync(join(tmpdir(), 'bootfarm-replica-')), authority);
  const users = primaryUsers({ projector: [PROJECTOR_PASSWORD], follower: [FOLLOWER_PASSWORD] });
  writeFileSync(join(secrets, 'users.acl'), `${users}user ${TEST_USER} on nopass ~* &* +@all\n`);
  const port = await freePort();
  const primary = await startRedis(
    (folder, socket) => `${primaryConfig({ port, folder, secrets })}bind ${ADDRESS}\nunixsocket ${socket}\n`,
  );
  const configOf = (own: FollowerPlace): string =>
    followerConfig({
      primaryHost: ADDRESS,
      primaryPort: port,
      followerPassword: FOLLOWER_PASSWORD,
      secrets,
      ...own,
    });
  const follower = await startRedis((folder, socketPath) => configOf({ folder, socketPath }));
  return {
    primary,
    follower,
    authority,
    redis: { url: `redis://${PROJECTOR_USER}:${PROJECTOR_PASSWORD}@${ADDRESS}:${port}`, ca: authority.cert },
    testUrl: `redis://${TEST_USER}:any@${ADDRESS}:${port}`,
    secrets,
    followerConfig: configOf,
    async close() {
      await follower.close();
      await primary.close();
      rmSync(secrets, { recursive: true, force: true });
    },
  };
}
