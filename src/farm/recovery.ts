/**
 * The recovery copy: what a farm's data cannot be used without, sealed for a key that only a person has. It may lie anywhere; it lies beside the data.
 *
 * The private key is a text that is printed once, the public key one that the Farm carries. Both end with four bytes of SHA-256, so that a slip of the pen
 * is told from a wrong key. A copy is an armoured text (as RFC 7468 has it), found in whatever surrounds it.
 */
import { createHash } from 'node:crypto';
import { stringify } from 'safe-stable-stringify';
import { BOX_KEY_BYTES, fillBox, isBoxKey, keyIdOf, makePrivateKey, openBox, publicKeyOf } from '../kit/box.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

/** Values in base64, as the Kubernetes API has them. */
export type CopiedSecret = Readonly<Record<string, string>>;

export interface RecoveryCopy {
  /** namespace/name of the Farm. */
  readonly farm: string;
  /** Identity of the farm in its database. */
  readonly id: string;
  /** `metadata.uid` of the Farm. */
  readonly uid: string;
  /** Whole Secrets, or what of them cannot be made again. */
  readonly secrets: { readonly keys: CopiedSecret; readonly database: CopiedSecret };
  /** RFC 3339. */
  readonly sealedAt: string;
}

export interface RecoveryKey {
  /** 16 hex digits that name the pair. */
  readonly id: string;
  readonly bytes: Uint8Array;
}

export type RecoveryFault = Fault<'KeyMissing' | 'KeyInvalid' | 'CopyMissing' | 'CopyInvalid' | 'CopyOfOtherKey'>;

const PRIVATE = 'bootfarm-recovery-private-1:';
const PUBLIC = 'bootfarm-recovery-public-1:';
const PURPOSE = 'recovery copy';
const SUM_BYTES = 4;
/** Of a key, behind its prefix: what follows may be a line of dashes. */
const TEXT_CHARACTERS = ((BOX_KEY_BYTES + SUM_BYTES) * 4) / 3;

const BEGIN = '-----BEGIN BOOTFARM RECOVERY COPY-----';
const END = '-----END BOOTFARM RECOVERY COPY-----';
const COPIES = new RegExp(`${BEGIN}([A-Za-z0-9+/=\\s]*)${END}`, 'g');
const PRIVATES = new RegExp(`${PRIVATE}[A-Za-z0-9_-]{0,${TEXT_CHARACTERS}}`, 'g');
const LINE = /.{1,64}/g;

const sumOf = (text: string, bytes: Uint8Array): Buffer =>
  createHash('sha256').update(text).update(bytes).digest().subarray(0, SUM_BYTES);
const written = (prefix: string, bytes: Uint8Array): string =>
  prefix + Buffer.concat([bytes, sumOf(prefix, bytes)]).toString('base64url');

function read(prefix: string, text: string): Buffer | undefined {
  const bytes = Buffer.from(text.slice(prefix.length), 'base64url').subarray(0, BOX_KEY_BYTES);
  return written(prefix, bytes) === text ? bytes : undefined;
}

export function makeRecoveryKey(privateKey: Uint8Array = makePrivateKey()): {
  readonly id: string;
  readonly privateText: string;
  readonly publicText: string;
} {
  const publicKey = publicKeyOf(privateKey);
  return {
    id: keyIdOf(publicKey),
    privateText: written(PRIVATE, privateKey),
    publicText: written(PUBLIC, publicKey),
  };
}

export function parsePublicKey(text: string): Result<RecoveryKey, RecoveryFault> {
  const bytes = read(PUBLIC, text.trim());
  return bytes && isBoxKey(bytes)
    ? ok({ id: keyIdOf(bytes), bytes })
    : fail(
        'KeyInvalid',
        `it is no public key as bootfarm keys recovery makes them (${PUBLIC}…): it was cut or changed`,
      );
}

/** The one in the text, wherever it stands. No message repeats any of it. */
export function findPrivateKey(text: string): Result<RecoveryKey, RecoveryFault> {
  const [found, ...more] = [...new Set(text.match(PRIVATES))];
  if (found === undefined)
    return fail('KeyMissing', `there is no recovery key: the line that begins with ${PRIVATE} is wanted`);
  if (more.length > 0) return fail('KeyInvalid', `there are ${more.length + 1} recovery keys: give one`);
  const bytes = read(PRIVATE, found);
  return bytes
    ? ok({ id: keyIdOf(publicKeyOf(bytes)), bytes })
    : fail('KeyInvalid', 'the recovery key was cut or changed: its check sum does not fit');
}

export const publicTextOf = ({ bytes }: RecoveryKey): string => makeRecoveryKey(bytes).publicText;

/** Tells one content from every other. What it is of is random keys: it says nothing about them. */
export function contentDigest({ farm, id, uid, secrets }: Omit<RecoveryCopy, 'sealedAt'>, key: RecoveryKey): string {
  return createHash('sha256')
    .update(stringify([key.id, farm, id, uid, secrets]))
    .digest('hex');
}

export function sealCopy(copy: RecoveryCopy, recipient: RecoveryKey): string {
  const box = fillBox(recipient.bytes, PURPOSE, Buffer.from(JSON.stringify(copy))).toString('base64');
  return `${[BEGIN, ...(box.match(LINE) ?? []), END].join('\n')}\n`;
}

/** Every copy in the text that this key opens, each once. That none does is a fault, which says why. */
export function openCopies(text: string, privateKey: RecoveryKey): Result<readonly RecoveryCopy[], RecoveryFault> {
  const boxes = [...new Set([...text.matchAll(COPIES)].map(([, body = '']) => body.replace(/\s/g, '')))];
  if (boxes.length === 0)
    return fail('CopyMissing', `there is no recovery copy: the text from ${BEGIN} to its end is wanted`);
  const opened = boxes.map((box) => openCopy(box, privateKey));
  const copies = opened.flatMap((one) => (one.ok ? [one.value] : []));
  const [first] = opened;
  return copies.length > 0 || !first || first.ok ? ok(copies) : first;
}

function openCopy(text: string, privateKey: RecoveryKey): Result<RecoveryCopy, RecoveryFault> {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) return fail('CopyInvalid', 'the recovery copy is cut or was changed');
  const opened = openBox(privateKey.bytes, PURPOSE, bytes);
  if (!opened.ok)
    return fail(opened.error.code === 'BoxKeyOther' ? 'CopyOfOtherKey' : 'CopyInvalid', opened.error.message);
  const copy = parseJson(opened.value);
  return isCopy(copy) ? ok(copy) : fail('CopyInvalid', 'the recovery copy lacks fields: another release made it');
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isSecret = (value: unknown): value is CopiedSecret =>
  isRecord(value) && Object.values(value).every((text) => typeof text === 'string');

const isCopy = (value: unknown): value is RecoveryCopy =>
  isRecord(value) &&
  ['farm', 'id', 'uid', 'sealedAt'].every((key) => typeof value[key] === 'string') &&
  isRecord(value['secrets']) &&
  isSecret(value['secrets']['keys']) &&
  isSecret(value['secrets']['database']);
