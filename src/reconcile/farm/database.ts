/** How a farm's database is reached: the embedded one, which is made here, or the one that a Secret names. */
import type { V1Service, V1StatefulSet } from '@kubernetes/client-node';
import { type Authority, certificateFiles } from '../../control/certificates.ts';
import type { DatabaseAccess } from '../../database/connection.ts';
import {
  changeOwnerPassword,
  logsIn,
  otherTurn,
  serverRole,
  type Turn,
  withTurn,
  withUser,
} from '../../database/roles.ts';
import { fail, ok, type Result } from '../../kit/result.ts';
import type { Client } from '../../kube/client.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject } from '../../kube/object.ts';
import type { Live } from '../../kube/wire.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { authorityName, databaseName, labelsOf } from '../names.ts';
import { keepSecret, randomPassword, readSecret, type SecretData, textOf } from '../secrets.ts';
import { faultOf, type InfrastructureFault } from './fault.ts';
import { DATABASE_NAME, DATABASE_OWNER, DATABASE_PORT, databaseSet } from './objects.ts';
import { ensureObject, ensureService, isRolling, subjectOf } from './owned.ts';
import {
  type Asked,
  acceptedOf,
  digestOf,
  formerOf,
  type Maker,
  nextOf,
  type Turn as SecretTurn,
  turn,
} from './turn.ts';

interface DatabaseInputs
  extends Pick<Infrastructure, 'database' | 'serverUri' | 'serverLogins' | 'givenServerUri' | 'provenDatabase'> {
  readonly turn: SecretTurn & { readonly of: string };
  /** StatefulSets that take up another template. */
  readonly rolling: readonly string[];
}

/** The key of what servers were last told, in the Secret of the database: known again while the database is away. */
export const SERVER_URI_KEY = 'server-uri';

export async function databaseInputs(
  context: Context,
  farm: Farm,
  owner: KubeObject,
  authority: Authority,
  asked: Asked,
  signal: AbortSignal,
): Promise<Result<DatabaseInputs, InfrastructureFault>> {
  const { embedded, external } = farm.spec.database;
  if (external) return externalInputs(context, farm, external, asked, signal);
  const { client, settings } = context;
  const { name, namespace } = farm.metadata;
  const address = await ensureService(context, farm, owner, 'database', signal);
  if (!address.ok) return faultOf(address.error);
  const subject = subjectOf(farm, 'database', address.value);
  const access = (password: string) => ({ uri: embeddedUri(password, address.value), ca: authority.trust });
  const maker: Maker = {
    names: ['server', 'role', 'password'],
    overlapping: ['server', 'role'],
    make: (held) => ({ ...nextLogin(held), password: randomPassword() }),
    async beforeSwitch(held) {
      const next = textOf(held, nextOf('password'));
      return (await changeOwnerPassword(access(textOf(held, 'password')), access(next), next)).ok;
    },
  };
  let step: SecretTurn['step'] = { kind: 'Rest' };
  const want = async (held: SecretData) => {
    const first = { ...firstLogin(held), password: held['password'] ?? randomPassword() };
    const done = await turn({ ...held, ...first }, maker, asked);
    step = done.step;
    return { ...first, ...done.change, ...(await certificateFiles(held, authority.signer, subject, Date.now())) };
  };
  const labels = labelsOf(name, 'database');
  const secret = await keepSecret(client, namespace, databaseName(name), labels, want, { signal });
  if (!secret.ok) return faultOf(secret.error);
  const { data: kept } = secret.value;
  const desired = databaseSet({ ...settings, farm: name, embedded: embedded ?? {} });
  const set = await ensureObject<Live<V1StatefulSet>>(
    context,
    kinds.StatefulSet,
    namespace,
    owner,
    databaseName(name),
    desired,
    signal,
  );
  if (!set.ok) return faultOf(set.error);
  const database = await ownerOf(kept, access);
  const serverLogins = loginsOf(kept);
  const { turn: role, password } = serverLogins.current;
  return ok({
    database,
    provenDatabase: { uri: database.uri, ca: authority.signer.cert },
    serverLogins,
    serverUri: withUser(database.uri, serverRole(DATABASE_NAME, role), password),
    turn: { step, held: kept, of: digestOf(kept, maker) },
    rolling: isRolling(set.value) ? [databaseName(name)] : [],
  });
}

/** The owner has one password, which may have been changed and not been written as the one in use. */
async function ownerOf(held: SecretData, access: (password: string) => DatabaseAccess): Promise<DatabaseAccess> {
  const current = access(textOf(held, 'password'));
  const next = textOf(held, nextOf('password'));
  if (next === '') return current;
  const tried = await logsIn(current);
  return tried.ok || tried.error.code !== 'AuthenticationFailed' ? current : access(next);
}

const turnOf = (held: SecretData, key = 'role'): Turn => (textOf(held, key) === '2' ? '2' : '1');
const firstLogin = (held: SecretData): SecretData => ({
  server: held['server'] ?? randomPassword(),
  role: held['role'] ?? Buffer.from('1'),
});
const nextLogin = (held: SecretData): SecretData => ({
  server: randomPassword(),
  role: Buffer.from(otherTurn(turnOf(held))),
});

/** What servers log in as, and may log in as. */
function loginsOf(held: SecretData): Infrastructure['serverLogins'] {
  const login = (key: (name: string) => string) => {
    const password = textOf(held, key('server'));
    return password === '' ? undefined : { turn: turnOf(held, key('role')), password };
  };
  const next = login(nextOf);
  return {
    current: login((name) => name) ?? { turn: '1', password: '' },
    ...(next ? { next } : {}),
    isAlone: !next && !login(formerOf),
  };
}

async function externalInputs(
  { client }: Context,
  farm: Farm,
  { secretRef, serverSecretRef }: NonNullable<Farm['spec']['database']['external']>,
  asked: Asked,
  signal: AbortSignal,
): Promise<Result<DatabaseInputs, InfrastructureFault>> {
  const { name, namespace } = farm.metadata;
  const maker: Maker = { names: ['server', 'role'], overlapping: ['server', 'role'], make: nextLogin };
  let step: SecretTurn['step'] = { kind: 'Rest' };
  const want = async (held: SecretData) => {
    const first = firstLogin(held);
    const done = await turn({ ...held, ...first }, maker, asked);
    step = done.step;
    return { ...first, ...done.change };
  };
  const labels = labelsOf(name, 'database');
  const secret = await keepSecret(client, namespace, databaseName(name), labels, want, { signal });
  if (!secret.ok) return faultOf(secret.error);
  const { data: kept } = secret.value;
  const database = await referenced(client, namespace, 'secretRef', secretRef, signal);
  if (!database.ok) return database;
  const given = serverSecretRef && (await referenced(client, namespace, 'serverSecretRef', serverSecretRef, signal));
  if (given && !given.ok) return given;
  const serverLogins = loginsOf(kept);
  const { turn: role, password } = serverLogins.current;
  const told = given?.value.uri ?? withTurn(textOf(kept, SERVER_URI_KEY), role, password);
  return ok({
    database: database.value,
    serverLogins,
    turn: { step, held: kept, of: digestOf(kept, maker) },
    rolling: [],
    ...(told === '' ? {} : { serverUri: told }),
    ...(given ? { givenServerUri: given.value.uri } : {}),
  });
}

/** Whoever signs first. */
export const trustOf = (authority: SecretData): string =>
  acceptedOf(authority, 'tls.crt')
    .map((pem) => `${pem}\n`)
    .join('');

const embeddedUri = (password: string, address: string): string =>
  `postgresql://${DATABASE_OWNER}:${password}@${address}:${DATABASE_PORT}/${DATABASE_NAME}`;

/** As the owner of a farm's database, for a command that a person gives, and for a Farm that goes: nothing is made. */
export async function ownerAccess(
  client: Client,
  farm: Farm,
  signal: AbortSignal,
): Promise<Result<DatabaseAccess, InfrastructureFault>> {
  const { name, namespace } = farm.metadata;
  const { external } = farm.spec.database;
  if (external) return referenced(client, namespace, 'secretRef', external.secretRef, signal);
  const secret = await readSecret(client, namespace, databaseName(name), { signal });
  if (!secret.ok) return faultOf(secret.error);
  const authority = await readSecret(client, namespace, authorityName(name), { signal });
  if (!authority.ok) return faultOf(authority.error);
  const service = await client.get<Live<V1Service>>(at(kinds.Service, namespace, databaseName(name)), { signal });
  if (!service.ok && service.error.code !== 'NotFound') return faultOf(service.error);
  if (!secret.value || !authority.value || !service.ok)
    return fail('SecretMissing', `Farm ${namespace}/${name} has no database yet: see its conditions`);
  const host = service.value.spec?.clusterIP ?? databaseName(name);
  const ca = trustOf(authority.value);
  return ok(await ownerOf(secret.value, (password) => ({ uri: embeddedUri(password, host), ca })));
}

/** The uri, and the `ca.crt` beside it where a person put one. */
async function referenced(
  client: Client,
  namespace: string,
  field: 'secretRef' | 'serverSecretRef',
  { name, key = 'uri' }: { readonly name: string; readonly key?: string },
  signal: AbortSignal,
): Promise<Result<DatabaseAccess, InfrastructureFault>> {
  const found = await readSecret(client, namespace, name, { signal });
  if (!found.ok) return faultOf(found.error);
  const uri = found.value && textOf(found.value, key);
  const ca = found.value && textOf(found.value, 'ca.crt');
  return uri
    ? ok({ uri, ...(ca ? { ca } : {}) })
    : fail(
        'SecretMissing',
        `Secret ${name} has no key ${key}, which spec.database.external.${field} names: put the connection URI there`,
      );
}
