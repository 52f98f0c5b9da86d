/**
 * The role of the servers: a login of its own with the rights of `grants.ts`, so that a server that was taken can say of itself what it likes
 * and touch nothing else. A level, not a step: brought about again whenever the operator begins with a database.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { fail, ok } from '../kit/result.ts';
import { type Answer, connect, type Database, type DatabaseAccess } from './connection.ts';
import { type Grants, grantSteps } from './grants.ts';
import type { Tables } from './tables.ts';

/** How servers log in. */
export interface ServerAccess {
  readonly uri: string;
  /** Why they have more rights than they need, and what to do. Absent: they have not. */
  readonly excess?: string;
}

/** The uri is the one of the owner of the tables. */
export interface ServerLogin extends DatabaseAccess {
  /** For the role that is made when the owner may make one. */
  readonly password: string;
  readonly turn?: Turn;
  /** What a person made for servers: it gets the rights, and no role is made. */
  readonly given?: string;
}

/** Two roles take turns, so that a new password is valid beside the old one: PostgreSQL has one password a role. */
export type Turn = '1' | '2';
export const otherTurn = (turn: Turn): Turn => (turn === '1' ? '2' : '1');

/** The cluster of databases has one name space of roles, so the database is in the name. */
export const serverRole = (database: string, turn: Turn = '1'): string =>
  `${database.slice(0, 55)}_server${turn === '1' ? '' : turn}`;
/** In the comment of the role: one that is there without it is somebody else's and is left alone. */
const markOf = (database: string): string => `bootfarm: servers of database ${database}`;

/** The same uri with another user. */
export function withUser(uri: string, user: string, password: string): string {
  const [, scheme = '', rest = ''] = /^(postgres(?:ql)?:\/\/)(?:[^@/?]*@)?(.*)$/s.exec(uri) ?? [];
  const [place = '', query = ''] = rest.split('?');
  const kept = query.split('&').filter((option) => option !== '' && !/^(user|password)=/.test(option));
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  return `${scheme}${login}@${place}${kept.length > 0 ? `?${kept.join('&')}` : ''}`;
}

/** A uri that servers were told, for the role whose turn it is; the same uri where it names no role of ours. */
export function withTurn(uri: string, turn: Turn, password: string): string {
  const [, user = '', name = ''] = /^postgres(?:ql)?:\/\/([^:@/?]*)[^/]*\/([^?]*)/.exec(uri) ?? [];
  const database = decodeURIComponent(name);
  const isOurs = [serverRole(database, '1'), serverRole(database, '2')].includes(decodeURIComponent(user));
  return isOurs ? withUser(uri, serverRole(database, turn), password) : uri;
}

/**
 * Gives servers a login with no more rights than they need, and tries it. Where the owner may not make a role and nobody gave one, or where
 * the new one does not get in (a pooler that does not know it), servers log in as the owner, and `excess` says so.
 */
export async function ensureServerAccess(
  database: Database,
  { uri, ca, password, turn, given }: ServerLogin,
): Answer<ServerAccess> {
  const found = await database.run(readOwner);
  if (!found.ok) return found;
  const owner = found.value;
  if (given !== undefined) return giveRights(database, owner, given, ca);
  const role = serverRole(owner.database, turn);
  const known = await database.run((db) => readRole(db, role));
  if (!known.ok) return known;
  const asOwner = (why: string): ServerAccess => ({
    uri,
    excess: `servers log in as ${owner.name}, who owns the farm database, because ${why}`,
  });
  if (known.value ? known.value.comment !== markOf(owner.database) : !owner.mayCreate)
    return ok(
      asOwner(
        known.value
          ? `role ${role} is there and was not made by bootfarm: drop or rename it, or name a login for servers in spec.database.external.serverSecretRef`
          : 'it may not make a role: give it CREATEROLE, or name a login for servers in spec.database.external.serverSecretRef',
      ),
    );
  const made = await database.run((db) => makeRole(db, role, owner, known.value ? undefined : password));
  if (!made.ok) return made;
  const own = withUser(uri, role, password);
  const login = { uri: own, ...trust(ca) };
  const first = await logsIn(login);
  if (first.ok) return ok({ uri: own, ...publicExcess(made.value) });
  if (first.error.code !== 'AuthenticationFailed') return first;
  const renewed = await database.run((db) => setPassword(db, role, password));
  if (!renewed.ok) return renewed;
  const second = await logsIn(login);
  if (second.ok) return ok({ uri: own, ...publicExcess(made.value) });
  if (second.error.code !== 'AuthenticationFailed') return second;
  return ok(asOwner(`role ${role} does not get in (${second.error.message}): a pooler in between must know it`));
}

async function giveRights(database: Database, owner: Owner, given: string, ca?: string): Answer<ServerAccess> {
  const login = connect({
    uri: given,
    ...trust(ca),
    maxConnections: 1,
    applicationName: 'bootfarm operator, as a server',
  });
  if (!login.ok) return fail('Refused', `the uri of servers: ${login.error.message}`);
  const who = await login.value.run(readOwner);
  await login.value.close();
  if (!who.ok) return { ok: false, error: { ...who.error, message: `the uri of servers: ${who.error.message}` } };
  if (who.value.database !== owner.database)
    return fail(
      'Refused',
      `the uri of servers names database ${who.value.database}, that of the owner ${owner.database}`,
    );
  if (who.value.name === owner.name || who.value.isSuperuser)
    return ok({
      uri: given,
      excess: `servers log in as ${who.value.name}, who may do anything: give them another user`,
    });
  const made = await database.run((db) => bringRights(db, who.value.name, owner));
  return made.ok ? ok({ uri: given, ...publicExcess(made.value) }) : made;
}

interface Owner {
  readonly name: string;
  readonly database: string;
  readonly schema: string;
  readonly mayCreate: boolean;
  readonly isSuperuser: boolean;
}

async function readOwner(db: Kysely<Tables>): Promise<Owner> {
  const { rows } = await sql<Owner>`select current_user::text as name, current_database()::text as database,
    coalesce(current_schema(), 'public')::text as schema, rolcreaterole or rolsuper as "mayCreate", rolsuper as "isSuperuser"
    from pg_roles where rolname = current_user`.execute(db);
  const [owner] = rows;
  if (!owner) throw new Error('pg_roles lacks the current user');
  return owner;
}

interface Role {
  readonly comment: string | null;
  readonly logsIn: boolean;
}

async function readRole(db: Kysely<Tables>, role: string): Promise<Role | undefined> {
  const { rows } = await sql<Role>`select shobj_description(oid, 'pg_authid') as comment, rolcanlogin as "logsIn"
    from pg_roles where rolname = ${role}`.execute(db);
  return rows[0];
}

/** `password`: it is not there yet. */
const makeRole = (
  db: Kysely<Tables>,
  role: string,
  owner: Owner,
  password: string | undefined,
): Promise<PublicRights> =>
  db.transaction().execute(async (trx) => {
    if (password !== undefined) {
      await sql`create role ${sql.id(role)} login nosuperuser nocreatedb nocreaterole noreplication
        password ${sql.lit(scramVerifier(password))}`.execute(trx);
      await sql`comment on role ${sql.id(role)} is ${sql.lit(markOf(owner.database))}`.execute(trx);
    }
    return bringRights(trx, role, owner);
  });

/** One whose turn was over may log in again. */
const setPassword = (db: Kysely<Tables>, role: string, password: string) =>
  sql`alter role ${sql.id(role)} login password ${sql.lit(scramVerifier(password))}`.execute(db);

/**
 * The turn of this role is over: it does not log in any more, and who is still logged in as it may do nothing. It is kept, without rights, for its
 * next turn: to drop it one must be a member of it.
 */
export const retireServerRole = (database: Database, turn: Turn): Answer<void> =>
  database.run(async (db) => {
    const owner = await readOwner(db);
    const role = serverRole(owner.database, turn);
    const known = await readRole(db, role);
    if (known?.comment !== markOf(owner.database) || !known.logsIn) return;
    await db.transaction().execute(async (trx) => {
      await sql`alter role ${sql.id(role)} nologin password null`.execute(trx);
      for (const { table, privileges } of await rightSteps(trx, role, owner, {}))
        await sql`revoke ${sql.raw(privileges.join(', '))} on ${sql.id(owner.schema, table)} from ${sql.id(role)}`.execute(
          trx,
        );
      await sql`revoke connect on database ${sql.id(owner.database)} from ${sql.id(role)}`.execute(trx);
    });
  });

/** The owner's own password, changed from the one of `from` to the one of `to`: again after a crash in between, it is found changed. */
export async function changeOwnerPassword(from: DatabaseAccess, to: DatabaseAccess, password: string): Answer<void> {
  const changed = await logsIn(to);
  if (changed.ok || changed.error.code !== 'AuthenticationFailed') return changed;
  return once(from, async (db) => {
    await sql`alter role current_user password ${sql.lit(scramVerifier(password))}`.execute(db);
  });
}

interface PublicRights {
  /** Everybody who logs in may make tables and functions beside ours. */
  readonly mayCreate: boolean;
}

async function rightSteps(
  db: Kysely<Tables>,
  role: string,
  { schema }: Owner,
  want?: Parameters<typeof grantSteps>[2],
): Promise<ReturnType<typeof grantSteps>> {
  const { rows: tables } = await sql<{
    name: string;
    held: readonly string[];
  }>`select relname::text as name, coalesce(array_agg(privilege_type::text) filter (where privilege_type is not null), '{}') as held
    from pg_class left join lateral (select privilege_type from aclexplode(relacl)
      where grantee = (select oid from pg_roles where rolname = ${role})) as acl on true
    where relnamespace = ${schema}::regnamespace and relkind in ('r', 'p', 'v') group by relname order by relname`.execute(
    db,
  );
  const held: Grants = new Map(tables.map((table) => [table.name, new Set(table.held)]));
  const names = tables.map(({ name }) => name);
  return grantSteps(names, held, want);
}

async function bringRights(db: Kysely<Tables>, role: string, owner: Owner): Promise<PublicRights> {
  const { database, schema } = owner;
  for (const { kind, table, privileges } of await rightSteps(db, role, owner)) {
    const [what, which] = [sql.raw(privileges.join(', ')), sql.id(schema, table)];
    await (kind === 'grant'
      ? sql`grant ${what} on ${which} to ${sql.id(role)}`
      : sql`revoke ${what} on ${which} from ${sql.id(role)}`
    ).execute(db);
  }
  const may = await readRights(db, role, database, schema);
  if (!may.connects) await sql`grant connect on database ${sql.id(database)} to ${sql.id(role)}`.execute(db);
  if (!may.uses) await sql`grant usage on schema ${sql.id(schema)} to ${sql.id(role)}`.execute(db);
  if (!may.mayCreate) return { mayCreate: false };
  // Until PostgreSQL 14 everybody may: a function of a server's making could then run in a query of the owner.
  await sql`revoke create on schema ${sql.id(schema)} from public`.execute(db);
  return { mayCreate: (await readRights(db, role, database, schema)).mayCreate };
}

async function readRights(db: Kysely<Tables>, role: string, database: string, schema: string) {
  const { rows } = await sql<{ connects: boolean; uses: boolean; mayCreate: boolean }>`select
    has_database_privilege(${role}, ${database}, 'CONNECT') as connects, has_schema_privilege(${role}, ${schema}, 'USAGE') as uses,
    has_schema_privilege(${role}, ${schema}, 'CREATE') as "mayCreate"`.execute(db);
  return rows[0] ?? { connects: false, uses: false, mayCreate: false };
}

const publicExcess = ({ mayCreate }: PublicRights): Pick<ServerAccess, 'excess'> =>
  mayCreate
    ? {
        excess:
          'servers may make tables and functions beside those of the farm: revoke CREATE on its schema from PUBLIC',
      }
    : {};

const trust = (ca: string | undefined) => (ca === undefined ? {} : { ca });

/** On a connection of its own. */
async function once(access: DatabaseAccess, work: (db: Kysely<Tables>) => Promise<void>): Answer<void> {
  const login = connect({ ...access, maxConnections: 1, applicationName: 'bootfarm operator, as a server' });
  if (!login.ok) return fail('Refused', login.error.message);
  const answer = await login.value.run(work);
  await login.value.close();
  return answer;
}

export const logsIn = (access: DatabaseAccess): Answer<void> =>
  once(access, async (db) => void (await sql`select 1`.execute(db)));

const ROUNDS = 4_096;

/** RFC 5803, as PostgreSQL keeps it: the password itself is in no statement, hence in no log of the database. Of ASCII passwords only. */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, ROUNDS, 32, 'sha256');
  const keyOf = (name: string): Buffer => createHmac('sha256', salted).update(name).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${ROUNDS}:${salt.toString('base64')}$${stored}:${keyOf('Server Key').toString('base64')}`;
}
