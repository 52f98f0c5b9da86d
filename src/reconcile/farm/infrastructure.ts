/** What a farm stands on: keys, certificates, the database and the replica. Made once, adopted again; gives what a runtime is made from. */
import { OPERATOR_NAME } from '../../control/caller.ts';
import { type Authority, certificateFiles, makeAuthority, pairFiles } from '../../control/certificates.ts';
import { ok, type Result } from '../../kit/result.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Infrastructure } from '../../operator/infrastructure.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { Farm } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';
import { authorityName, labelsOf, operatorTlsName } from '../names.ts';
import { keepSecret, type SecretData, textOf } from '../secrets.ts';
import { databaseInputs, trustOf } from './database.ts';
import { faultOf, type InfrastructureFault } from './fault.ts';
import { type Keys, keepKeys } from './keys.ts';
import { replicaInputs } from './replica.ts';
import { ROTATE_KEYS_ANNOTATION } from './rotation.ts';
import {
  type Asked,
  digestOf,
  type Maker,
  ROTATE_CA_ANNOTATION,
  ROTATE_PASSWORDS_ANNOTATION,
  type Turn,
  type TurnStatus,
  turn,
  turnStatus,
} from './turn.ts';

/** What was seen of the farm that the last reconcile made. */
export interface Seen {
  /** Absent: they were not asked. */
  readonly servers?: readonly ServerView[] | undefined;
  /** Who has not taken up what; absent: it is not known. */
  readonly takeUp?: { readonly of: Infrastructure['turns']; readonly lacking: readonly string[] } | undefined;
}

/** Of all that a farm keeps secret. */
export type Secrets = Keys & { readonly passwords: TurnStatus; readonly ca: TurnStatus };

export interface Made {
  readonly inputs: Infrastructure;
  readonly keys: Secrets;
  /** StatefulSets that take up another template. */
  readonly rolling: readonly string[];
}

export async function ensureInfrastructure(
  context: Context,
  farm: Farm,
  object: KubeObject,
  { servers, takeUp }: Seen,
  signal: AbortSignal,
): Promise<Result<Made, InfrastructureFault>> {
  const { annotations = {} } = farm.metadata;
  const asked = (annotation: string, secret: keyof Infrastructure['turns']): Asked => ({
    request: annotations[annotation],
    seen: takeUp && { of: takeUp.of[secret], lacking: takeUp.lacking },
  });
  const keys = await keepKeys(context, farm, servers, signal);
  if (!keys.ok) return faultOf(keys.error);
  const trusted = await ensureAuthority(context, farm, asked(ROTATE_CA_ANNOTATION, 'ca'), signal);
  if (!trusted.ok) return trusted;
  const { authority, identity } = trusted.value;
  const ofDatabase = asked(ROTATE_PASSWORDS_ANNOTATION, 'database');
  const database = await databaseInputs(context, farm, object, authority, ofDatabase, signal);
  if (!database.ok) return database;
  const ofReplica = asked(ROTATE_PASSWORDS_ANNOTATION, 'replica');
  const replica = await replicaInputs(context, farm, object, authority, ofReplica, signal);
  if (!replica.ok) return replica;

  const [{ turn: first, rolling, ...inputs }, { turn: second, rolling: others, ...more }] = [
    database.value,
    replica.value,
  ];
  const turns = { ca: trusted.value.turn.of, database: first.of, replica: second.of };
  const passwords = turnStatus('the passwords', [first, second]);
  const ca = turnStatus('the authority and its certificates', [trusted.value.turn]);
  const isQuiet = keys.value.isQuiet && passwords.state === 'Settled' && ca.state === 'Settled';
  return ok({
    inputs: {
      ...inputs,
      ...more,
      identity,
      authority,
      turns,
      lineage: keys.value.lineage,
      keysUid: keys.value.uid,
      farmUid: farm.metadata.uid ?? '',
    },
    keys: { ...keys.value, isQuiet, passwords, ca },
    rolling: [...rolling, ...others],
  });
}

/** The old key signs nothing any more; what it signed is believed until nobody shows it. */
const AUTHORITY = { names: ['tls.crt', 'tls.key'], overlapping: ['tls.crt'] } as const;

async function ensureAuthority(
  { client }: Context,
  farm: Farm,
  asked: Asked,
  signal: AbortSignal,
): Promise<
  Result<
    Pick<Infrastructure, 'authority' | 'identity'> & { readonly turn: Turn & { readonly of: string } },
    InfrastructureFault
  >
> {
  const { name, namespace } = farm.metadata;
  const labels = labelsOf(name, 'secret');
  const maker: Maker = {
    ...AUTHORITY,
    make: async () => pairFiles(await makeAuthority(`${namespace}/${name}`, Date.now())),
  };
  let step: Turn['step'] = { kind: 'Rest' };
  const want = async (held: SecretData) => {
    if (!held['tls.crt'] || !held['tls.key']) return maker.make(held);
    const done = await turn(held, maker, asked);
    step = done.step;
    return done.change;
  };
  const ca = await keepSecret(client, namespace, authorityName(name), labels, want, { signal });
  if (!ca.ok) return faultOf(ca.error);
  const { data: held } = ca.value;
  const signer = { cert: textOf(held, 'tls.crt'), key: textOf(held, 'tls.key') };
  const authority: Authority = { signer, trust: trustOf(held) };
  const operator = { names: [OPERATOR_NAME], use: 'client' } as const;
  const certificate = (held: SecretData) => certificateFiles(held, signer, operator, Date.now());
  const tls = await keepSecret(client, namespace, operatorTlsName(name), labels, certificate, { signal });
  if (!tls.ok) return faultOf(tls.error);
  const { data: pair } = tls.value;
  const identity = { ca: authority.trust, cert: textOf(pair, 'tls.crt'), key: textOf(pair, 'tls.key') };
  return ok({ authority, identity, turn: { step, held, of: digestOf(held, maker) } });
}

/** A step is under way, or asked for. */
export function isRotating({ metadata }: Farm, keys: Secrets | undefined): boolean {
  if (!keys?.isQuiet) return true;
  const asked: readonly (readonly [string, string | undefined])[] = [
    [ROTATE_KEYS_ANNOTATION, keys.request],
    [ROTATE_PASSWORDS_ANNOTATION, keys.passwords.request],
    [ROTATE_CA_ANNOTATION, keys.ca.request],
  ];
  return asked.some(([annotation, taken]) => {
    const request = metadata.annotations?.[annotation];
    return request !== undefined && request !== '' && request !== taken;
  });
}
