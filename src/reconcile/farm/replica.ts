/** The embedded replica: its Secret with passwords, users and certificate, its Service and its StatefulSet. */
import type { V1Service, V1StatefulSet } from '@kubernetes/client-node';
import { type Authority, certificateFiles } from '../../control/certificates.ts';
import { ok, type Result } from '../../kit/result.ts';
import type { Client } from '../../kube/client.ts';
import { kinds } from '../../kube/kinds.ts';
import { at, type KubeObject } from '../../kube/object.ts';
import type { Live } from '../../kube/wire.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import { PROJECTOR_USER, primaryConfig, primaryUsers } from '../../replica/config.ts';
import type { RedisAccess } from '../../replica/link.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { labelsOf, replicaName } from '../names.ts';
import { changed, keepSecret, randomPassword, readSecret, textOf } from '../secrets.ts';
import { faultOf, type InfrastructureFault } from './fault.ts';
import { DATA, REPLICA_PORT, replicaSet, SECRETS } from './objects.ts';
import { ensureObject, ensureService, isRolling, subjectOf } from './owned.ts';
import { type Asked, acceptedOf, digestOf, type Maker, newestOf, type Turn, turn } from './turn.ts';

export interface ReplicaInputs extends Pick<Infrastructure, 'redis' | 'primary' | 'provenRedis'> {
  readonly turn: Turn & { readonly of: string };
  /** StatefulSets that take up another template. */
  readonly rolling: readonly string[];
}

const PASSWORDS: Maker = {
  names: ['projector', 'follower'],
  overlapping: ['projector', 'follower'],
  make: () => ({ projector: randomPassword(), follower: randomPassword() }),
};

export async function replicaInputs(
  context: Context,
  farm: Farm,
  owner: KubeObject,
  { signer, trust }: Authority,
  asked: Asked,
  signal: AbortSignal,
): Promise<Result<ReplicaInputs, InfrastructureFault>> {
  const { name, namespace } = farm.metadata;
  const { embedded = {} } = farm.spec.replica;
  const address = await ensureService(context, farm, owner, 'replica', signal);
  if (!address.ok) return faultOf(address.error);
  const subject = subjectOf(farm, 'replica', address.value);
  let step: Turn['step'] = { kind: 'Rest' };
  const secret = await keepSecret(
    context.client,
    namespace,
    replicaName(name),
    labelsOf(name, 'replica'),
    async (held) => {
      const { projector = randomPassword(), follower = randomPassword() } = held;
      const first = { ...held, projector, follower };
      const done = await turn(first, PASSWORDS, asked);
      step = done.step;
      const after = changed(first, done.change);
      const users = primaryUsers({
        projector: acceptedOf(after, 'projector'),
        follower: acceptedOf(after, 'follower'),
      });
      return {
        projector,
        follower,
        ...done.change,
        'redis.conf': Buffer.from(primaryConfig({ port: REPLICA_PORT, folder: DATA, secrets: SECRETS })),
        'users.acl': Buffer.from(users),
        ...(await certificateFiles(held, signer, subject, Date.now())),
        'ca.crt': Buffer.from(trust),
      };
    },
    { signal },
  );
  if (!secret.ok) return faultOf(secret.error);
  const { data: held } = secret.value;
  const desired = replicaSet({ ...context.settings, farm: name, embedded });
  const set = await ensureObject<Live<V1StatefulSet>>(
    context,
    kinds.StatefulSet,
    namespace,
    owner,
    replicaName(name),
    desired,
    signal,
  );
  if (!set.ok) return faultOf(set.error);
  const url = (password: string) => `redis://${PROJECTOR_USER}:${password}@${address.value}:${REPLICA_PORT}`;
  return ok({
    redis: { url: url(textOf(held, 'projector')), ca: trust },
    provenRedis: { url: url(newestOf(held, 'projector')), ca: signer.cert },
    turn: { step, held, of: digestOf(held, PASSWORDS) },
    rolling: isRolling(set.value) ? [replicaName(name)] : [],
    primary: { host: address.value, port: REPLICA_PORT, followerPassword: textOf(held, 'follower') },
  });
}

/** As the projector of a farm's replica, to read it: nothing is made. Undefined: there is none yet. */
export async function replicaAccess(
  client: Client,
  farm: Farm,
  signal: AbortSignal,
): Promise<Result<RedisAccess | undefined, InfrastructureFault>> {
  const { name, namespace } = farm.metadata;
  const secret = await readSecret(client, namespace, replicaName(name), { signal });
  if (!secret.ok) return faultOf(secret.error);
  const service = await client.get<Live<V1Service>>(at(kinds.Service, namespace, replicaName(name)), { signal });
  if (!service.ok && service.error.code !== 'NotFound') return faultOf(service.error);
  const host = service.ok ? service.value.spec?.clusterIP : undefined;
  if (!secret.value || host === undefined) return ok(undefined);
  const password = textOf(secret.value, 'projector');
  return ok({
    url: `redis://${PROJECTOR_USER}:${password}@${host}:${REPLICA_PORT}`,
    ca: textOf(secret.value, 'ca.crt'),
  });
}
