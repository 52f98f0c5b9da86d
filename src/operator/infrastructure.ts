/** What a farm stands on, as `reconcile/farm/infrastructure.ts` makes it, and a runtime is made from it. */
import type { Authority } from '../control/certificates.ts';
import type { ControlIdentity } from '../control/client.ts';
import type { DatabaseAccess } from '../database/connection.ts';
import type { Turn } from '../database/roles.ts';
import type { RedisAccess } from '../replica/link.ts';

interface ServerTurn {
  readonly turn: Turn;
  readonly password: string;
}

export interface ServerLogins {
  readonly current: ServerTurn;
  /** To be let in, and not used yet. */
  readonly next?: ServerTurn;
  /** Nobody uses, or is to use, the other role. */
  readonly isAlone: boolean;
}

export interface Infrastructure {
  /** Of the owner of the tables. */
  readonly database: DatabaseAccess;
  /** What servers are told. Absent until it was found out what they can log in as. */
  readonly serverUri?: string;
  /** For the roles that they get where the owner may make them. */
  readonly serverLogins: ServerLogins;
  /** A person made a login for them. */
  readonly givenServerUri?: string;
  readonly redis: RedisAccess;
  /** The same by the newest password, and believed by the authority that signs alone: who answers to it has taken up both. */
  readonly provenRedis: RedisAccess;
  /** Where the database has a certificate of the farm's authority. */
  readonly provenDatabase?: DatabaseAccess;
  /** The state of each Secret that turns, in one word (`reconcile/farm/turn.ts`). */
  readonly turns: { readonly ca: string; readonly database: string; readonly replica: string };
  /** Where followers follow, for an embedded replica. */
  readonly primary?: { readonly host: string; readonly port: number; readonly followerPassword: string };
  /** The operator's own, for the control ports of servers. */
  readonly identity: ControlIdentity;
  /** Signs the certificates of servers. */
  readonly authority: Authority;
  /** Of the farm's keys (`reconcile/farm/rotation.ts`): part of the path of what its nodes keep. */
  readonly lineage: string;
  /** `metadata.uid` of their Secret. */
  readonly keysUid: string;
  /** `metadata.uid` of the Farm: one that is made again has another runtime. */
  readonly farmUid: string;
}
