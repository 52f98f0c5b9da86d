/**
 * The recovery copy of a farm's Secrets: sealed for the public key that the Farm carries, kept in a Secret of its own, which the embedded database's pod
 * mounts and keeps beside the data (`beside.ts`). It holds what data cannot be used without and nobody can make again: the farm's keys, and the
 * passwords of the database. The authority and the replica are made anew without loss.
 */
import {
  type CopiedSecret,
  contentDigest,
  parsePublicKey,
  type RecoveryCopy,
  type RecoveryKey,
  sealCopy,
} from '../../farm/recovery.ts';
import { ok, type Result } from '../../kit/result.ts';
import type { CallOptions, Client } from '../../kube/client.ts';
import type { ApiFault } from '../../kube/fault.ts';
import { key } from '../../kube/object.ts';
import type { Farm } from '../../resources/kinds.ts';
import { databaseName, keysName, labelsOf, recoveryName } from '../names.ts';
import { encodeData, keepSecret, readSecret, type SecretChange, type SecretData, textOf } from '../secrets.ts';

/** On the Farm: the public key. It is no secret, and may stand in git. Where it is not, the key that was used last is; empty, none is. */
export const RECOVERY_KEY_ANNOTATION = 'bootfarm.io/recovery-key';
/** On the Farm: whose keys a person gave it (`predecessorText`). */
export const RECOVERED_ANNOTATION = 'bootfarm.io/recovered';

/** Keys of the Secret: the digest of what was sealed last, and the public key that it was sealed for. */
const CONTENT = 'content';
const RECIPIENT = 'recipient';
/** And the copy, by the farm's identity in its database. */
const copyFile = (id: string): string => `${id}.sealed`;
export const isCopyFile = (name: string): boolean => name.endsWith('.sealed');

/** Certificates are made again; those of the moment stay. */
export const isLasting = (name: string): boolean => name !== 'tls.crt' && name !== 'tls.key';
const lasting = (held: SecretData): CopiedSecret =>
  Object.fromEntries(Object.entries(encodeData(held)).filter(([name]) => isLasting(name)));

/** Of the Farm's status. */
export interface RecoveryStatus {
  /** Id of the key that the copy is sealed for. */
  readonly key?: string;
  readonly message?: string;
}

/**
 * To be called only after the database was found to be the farm's, by the very Secrets that are sealed: new ones that it does not take must not replace the
 * copy of those that it does. `None`: no copy is wanted.
 */
export async function keepCopy(
  client: Client,
  farm: Farm,
  id: string,
  signal: AbortSignal,
): Promise<Result<RecoveryStatus | 'None', ApiFault>> {
  const { name, namespace, uid = '' } = farm.metadata;
  const text = await recoveryKeyOf(client, farm, { signal });
  if (!text.ok) return text;
  if (text.value === '') return ok('None');
  const recipient = parsePublicKey(text.value);
  if (!recipient.ok) return ok({ message: `annotation ${RECOVERY_KEY_ANNOTATION}: ${recipient.error.message}` });
  const keys = await readSecret(client, namespace, keysName(name), { signal });
  if (!keys.ok) return keys;
  const database = await readSecret(client, namespace, databaseName(name), { signal });
  if (!database.ok) return database;
  if (!keys.value || !database.value) return ok({ message: 'the Secrets of the farm are being made' });
  const secrets = { keys: lasting(keys.value), database: lasting(database.value) };
  const copy = { farm: key(namespace, name), id, uid, secrets };
  const labels = labelsOf(name, 'secret');
  const want = (held: SecretData): SecretChange => ({
    ...copyChange(held, copy, recipient.value, new Date()),
    [RECIPIENT]: Buffer.from(text.value),
  });
  const kept = await keepSecret(client, namespace, recoveryName(name), labels, want, { signal });
  return kept.ok ? ok({ key: recipient.value.id }) : kept;
}

/** '' where there is none. A Farm that is made again from a git that does not have it goes on with the one that its Secret names. */
export async function recoveryKeyOf(
  client: Client,
  { metadata }: Pick<Farm, 'metadata'>,
  options?: CallOptions,
): Promise<Result<string, ApiFault>> {
  const { name, namespace, annotations = {} } = metadata;
  const said = annotations[RECOVERY_KEY_ANNOTATION];
  if (said !== undefined) return ok(said);
  const held = await readSecret(client, namespace, recoveryName(name), options);
  return held.ok ? ok(textOf(held.value ?? {}, RECIPIENT)) : held;
}

/** Sealing gives another text each time: it is done when what is sealed is another. */
function copyChange(
  held: SecretData,
  copy: Omit<RecoveryCopy, 'sealedAt'>,
  recipient: RecoveryKey,
  now: Date,
): SecretChange {
  const file = copyFile(copy.id);
  const digest = contentDigest(copy, recipient);
  const others = Object.keys(held).filter((name) => isCopyFile(name) && name !== file);
  const gone = Object.fromEntries(others.map((name) => [name, undefined]));
  if (held[file] && held[CONTENT]?.toString() === digest) return gone;
  const sealed = sealCopy({ ...copy, sealedAt: now.toISOString() }, recipient);
  return { ...gone, [file]: Buffer.from(sealed), [CONTENT]: Buffer.from(digest) };
}

/** The farm and the Farm resource whose keys were given back. */
export interface Predecessor {
  /** Identity of the farm in its database. */
  readonly farm: string;
  /** `metadata.uid` of the Farm that it belonged to. */
  readonly uid: string;
}

export const predecessorText = ({ farm, uid }: Predecessor): string => `${farm}/${uid}`;

export function predecessorOf({ metadata }: Farm): Predecessor | undefined {
  const [farm, uid, ...more] = metadata.annotations?.[RECOVERED_ANNOTATION]?.split('/') ?? [];
  return farm && uid && more.length === 0 ? { farm, uid } : undefined;
}
