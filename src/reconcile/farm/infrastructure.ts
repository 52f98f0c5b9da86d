/** What a farm stands on: keys, certificates, the embedded database and replica. Made once, adopted again; gives what a runtime is made from. */
import { randomBytes } from 'node:crypto';
import { OPERATOR_NAME } from '../../control/caller.ts';
import { serverRole, withUser } from '../../database/roles.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { applyChanged } from '../../kube/apply.ts';
import type { Client } from '../../kube/client.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type Kind, type KubeObject } from '../../kube/object.ts';
import { controllerRef } from '../../kube/owner.ts';
import { PROJECTOR_USER, primaryConfig } from '../../replica/config.ts';
import type { Farm } from '../../resources/kinds.ts';
import { isDue, type KeyPair, makeAuthority, makeCertificate, type Subject } from '../certificates.ts';
import type { Context } from '../context.ts';
import { authorityName, databaseName, keysName, labelsOf, operatorTlsName, replicaName } from '../names.ts';
import { encodeData, ensureSecret, readSecret, type SecretData } from '../secrets.ts';
import {
  DATABASE_NAME,
  DATABASE_OWNER,
  DATABASE_PORT,
  databaseSet,
  REPLICA_PORT,
  replicaSet,
  serviceOf,
} from './objects.ts';
import type { Infrastructure } from './runtimes.ts';

/** `Unanswered`: the API is away or busy, which says nothing of the farm. `ApplyRefused`: it answers, and will not. */
export type InfrastructureFault = Fault<'SecretMissing' | 'NotSupported' | 'ApplyRefused' | 'Unanswered'>;

const REFUSALS: readonly ApiFault['code'][] = ['NotFound', 'Unauthorized', 'Forbidden', 'Invalid', 'Refused'];
const faultOf = ({ code, message }: ApiFault): Result<never, InfrastructureFault> =>
  fail(REFUSALS.includes(code) ? 'ApplyRefused' : 'Unanswered', message);
const random = (): Buffer => Buffer.from(randomBytes(24).toString('base64url'));
const text = (data: SecretData, key: string): string => data[key]?.toString('utf8').trim() ?? '';

export async function ensureInfrastructure(
  context: Context,
  farm: Farm,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Result<Infrastructure, InfrastructureFault>> {
  const { client } = context;
  const { name, namespace = 'default' } = farm.metadata;
  const labels = labelsOf(name, 'secret');
  const ensure = (secret: string, make: () => Promise<SecretData> | SecretData) =>
    ensureSecret(client, namespace, secret, labels, make, { signal });

  const keys = await ensure(keysName(name), () => ({ current: Buffer.from('1'), 'key-1': randomBytes(32) }));
  if (!keys.ok) return faultOf(keys.error);
  const ca = await ensure(authorityName(name), async () =>
    pairData(await makeAuthority(`${namespace}/${name}`, Date.now())),
  );
  if (!ca.ok) return faultOf(ca.error);
  const authority = { cert: text(ca.value, 'tls.crt'), key: text(ca.value, 'tls.key') };
  const tls = await ensureCertificate(
    context,
    namespace,
    operatorTlsName(name),
    labels,
    authority,
    { names: [OPERATOR_NAME], use: 'client' },
    signal,
  );
  if (!tls.ok) return faultOf(tls.error);
  const identity = { ca: authority.cert, ...tls.value };

  const database = await databaseInputs(context, farm, object, signal);
  if (!database.ok) return database;
  const replica = await replicaUrl(context, farm, object, signal);
  if (!replica.ok) return replica;
  return ok({ ...database.value, ...replica.value, identity, authority });
}

const pairData = ({ cert, key }: KeyPair): SecretData => ({
  'tls.crt': Buffer.from(cert),
  'tls.key': Buffer.from(key),
});

async function ensureCertificate(
  { client }: Context,
  namespace: string,
  secret: string,
  labels: Readonly<Record<string, string>>,
  authority: KeyPair,
  subject: Subject,
  signal: AbortSignal,
): Promise<Result<KeyPair, ApiFault>> {
  const made = async (): Promise<SecretData> => pairData(await makeCertificate(authority, subject, Date.now()));
  const found = await ensureSecret(client, namespace, secret, labels, made, { signal });
  if (!found.ok) return found;
  if (!isDue(text(found.value, 'tls.crt'), authority.cert, subject, Date.now()))
    return ok({ cert: text(found.value, 'tls.crt'), key: text(found.value, 'tls.key') });
  const fresh = await made();
  const patched = await client.patch(at(kinds.Secret, namespace, secret), { data: encodeData(fresh) }, { signal });
  return patched.ok ? ok({ cert: text(fresh, 'tls.crt'), key: text(fresh, 'tls.key') }) : patched;
}

type DatabaseInputs = Pick<Infrastructure, 'databaseUri' | 'serverUri' | 'serverPassword' | 'givenServerUri'>;

/** The key of what servers were last told, in the Secret of the database: known again while the database is away. */
export const SERVER_URI_KEY = 'server-uri';

async function databaseInputs(
  context: Context,
  farm: Farm,
  owner: KubeObject,
  signal: AbortSignal,
): Promise<Result<DatabaseInputs, InfrastructureFault>> {
  const { name, namespace = 'default' } = farm.metadata;
  const { embedded, external } = farm.spec.database;
  const secret = await ensureSecret(
    context.client,
    namespace,
    databaseName(name),
    labelsOf(name, 'database'),
    () => ({ server: random(), ...(embedded ? { password: random() } : {}) }),
    { signal },
  );
  if (!secret.ok) return faultOf(secret.error);
  const serverPassword = text(secret.value, 'server');
  if (external) {
    const uri = await referenced(context.client, namespace, 'secretRef', external.secretRef, signal);
    if (!uri.ok) return uri;
    const { serverSecretRef } = external;
    const given =
      serverSecretRef && (await referenced(context.client, namespace, 'serverSecretRef', serverSecretRef, signal));
    if (given && !given.ok) return given;
    const told = given?.value ?? text(secret.value, SERVER_URI_KEY);
    return ok({
      databaseUri: uri.value,
      serverPassword,
      ...(told === '' ? {} : { serverUri: told }),
      ...(given ? { givenServerUri: given.value } : {}),
    });
  }
  const address = await ensureService(context, farm, owner, 'database', signal);
  if (!address.ok) return faultOf(address.error);
  const set = await ensureObject(
    context,
    kinds.StatefulSet,
    namespace,
    owner,
    databaseName(name),
    databaseSet({ ...context.settings, farm: name, embedded: embedded ?? {} }) as Owned,
    signal,
  );
  if (!set.ok) return faultOf(set.error);
  const uri = embeddedUri(text(secret.value, 'password'), address.value);
  return ok({
    databaseUri: uri,
    serverPassword,
    serverUri: withUser(uri, serverRole(DATABASE_NAME), serverPassword),
  });
}

const embeddedUri = (password: string, address: string): string =>
  `postgresql://${DATABASE_OWNER}:${password}@${address}:${DATABASE_PORT}/${DATABASE_NAME}`;

/** The uri of the owner of a farm's database, for a command that a person gives: nothing is made. */
export async function ownerUri(
  client: Client,
  farm: Farm,
  signal: AbortSignal,
): Promise<Result<string, InfrastructureFault>> {
  const { name, namespace = 'default' } = farm.metadata;
  const { external } = farm.spec.database;
  if (external) return referenced(client, namespace, 'secretRef', external.secretRef, signal);
  const secret = await readSecret(client, namespace, databaseName(name), { signal });
  if (!secret.ok) return faultOf(secret.error);
  const service = await client.get<ServiceObject>(at(kinds.Service, namespace, databaseName(name)), { signal });
  if (!service.ok && service.error.code !== 'NotFound') return faultOf(service.error);
  if (!secret.value || !service.ok)
    return fail('SecretMissing', `Farm ${namespace}/${name} has no database yet: see its conditions`);
  return ok(embeddedUri(text(secret.value, 'password'), service.value.spec?.clusterIP ?? databaseName(name)));
}

type ReplicaInputs = Pick<Infrastructure, 'redisUrl' | 'primary'>;

async function replicaUrl(
  context: Context,
  farm: Farm,
  owner: KubeObject,
  signal: AbortSignal,
): Promise<Result<ReplicaInputs, InfrastructureFault>> {
  const { name, namespace = 'default' } = farm.metadata;
  const { embedded = {}, external } = farm.spec.replica ?? {};
  if (external)
    return fail(
      'NotSupported',
      'an external replica is not supported in this release: leave spec.replica out, or use embedded',
    );
  const secret = await ensureSecret(
    context.client,
    namespace,
    replicaName(name),
    labelsOf(name, 'replica'),
    () => {
      const [projectorPassword, followerPassword] = [random(), random()];
      const config = primaryConfig({
        port: REPLICA_PORT,
        folder: '/data',
        projectorPassword: projectorPassword.toString(),
        followerPassword: followerPassword.toString(),
      });
      return { projector: projectorPassword, follower: followerPassword, 'redis.conf': Buffer.from(config) };
    },
    { signal },
  );
  if (!secret.ok) return faultOf(secret.error);
  const address = await ensureService(context, farm, owner, 'replica', signal);
  if (!address.ok) return faultOf(address.error);
  const set = await ensureObject(
    context,
    kinds.StatefulSet,
    namespace,
    owner,
    replicaName(name),
    replicaSet({ ...context.settings, farm: name, embedded }) as Owned,
    signal,
  );
  if (!set.ok) return faultOf(set.error);
  return ok({
    redisUrl: `redis://${PROJECTOR_USER}:${text(secret.value, 'projector')}@${address.value}:${REPLICA_PORT}`,
    primary: { host: address.value, port: REPLICA_PORT, followerPassword: text(secret.value, 'follower') },
  });
}

async function referenced(
  client: Client,
  namespace: string,
  field: 'secretRef' | 'serverSecretRef',
  { name, key = 'uri' }: { readonly name: string; readonly key?: string },
  signal: AbortSignal,
): Promise<Result<string, InfrastructureFault>> {
  const found = await readSecret(client, namespace, name, { signal });
  if (!found.ok) return faultOf(found.error);
  const uri = found.value && text(found.value, key);
  return uri
    ? ok(uri)
    : fail(
        'SecretMissing',
        `Secret ${name} has no key ${key}, which spec.database.external.${field} names: put the connection URI there`,
      );
}

/** The address of the Service: servers are on the host network, where the names of the cluster may not be known. */
async function ensureService(
  context: Context,
  farm: Farm,
  owner: KubeObject,
  component: 'database' | 'replica',
  signal: AbortSignal,
): Promise<Result<string, ApiFault>> {
  const { name, namespace = 'default' } = farm.metadata;
  const service = component === 'database' ? databaseName(name) : replicaName(name);
  const applied = await ensureObject(
    context,
    kinds.Service,
    namespace,
    owner,
    service,
    serviceOf(name, component) as Owned,
    signal,
  );
  if (!applied.ok) return applied;
  return ok((applied.value as ServiceObject).spec?.clusterIP ?? service);
}

interface ServiceObject extends KubeObject {
  readonly spec?: { readonly clusterIP?: string };
}

interface Owned {
  readonly metadata: object;
}

/** It goes with its Farm; its volumes and Secrets stay, and the next Farm of that name takes them up again. */
async function ensureObject(
  { client }: Context,
  kind: Kind,
  namespace: string,
  owner: KubeObject,
  name: string,
  desired: Owned,
  signal: AbortSignal,
) {
  const target = at(kind, namespace, name);
  const live = await client.get(target, { signal });
  if (!live.ok && live.error.code !== 'NotFound') return live;
  const body = {
    ...desired,
    metadata: { ...desired.metadata, ownerReferences: [controllerRef(kinds.Farm, owner)] },
  };
  const applied = await applyChanged(client, target, body, live.ok ? live.value : undefined, { signal });
  return applied.ok ? ok(applied.value.object) : applied;
}
