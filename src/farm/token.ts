/**
 * What a server hands to a device so that any other server of the site can go on with it: the boot token (from the boot script to LOGIN)
 * and the ticket (from LOGIN to each ATTACH). Both travel sealed by the farm key; here is their content and its check.
 */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type KeyRing, open, seal } from '../kit/seal.ts';

/** Which content a device reads: the vDisk, its version, and the digest that every copy of it must have. */
export interface VersionRef {
  /** Name of the VDisk resource. */
  readonly vdisk: string;
  readonly version: number;
  /** Manifest digest: SHA-256, 64 hex digits. A server whose copy has another one refuses. */
  readonly manifest: string;
}

/** One word for a version and its content. */
export const refKey = ({ vdisk, version, manifest }: VersionRef): string => `${vdisk}/${version}/${manifest}`;

/** All that a login needs, so that a device added by one server can log in at another. */
export interface BootToken extends VersionRef {
  readonly device: string;
  /** `aa:bb:cc:dd:ee:ff` */
  readonly mac: string;
  /** Of the device, where the farm knows it: who may have its name and another MAC. */
  readonly uuid?: string;
  readonly site: string;
  /** Unix time in seconds; only servers judge it. */
  readonly expires: number;
}

export interface Ticket extends VersionRef {
  readonly device: string;
  readonly mac: string;
  readonly uuid?: string;
  readonly site: string;
  readonly sizeBytes: number;
  /** Session key, 32 bytes in base64. */
  readonly key: string;
  readonly expires: number;
}

export const BOOT_TOKEN_LIFE_SECONDS = 600;
export const TICKET_LIFE_SECONDS = 7 * 86_400;

export type TokenFault = Fault<'TokenInvalid' | 'TokenExpired'>;

export const sealBootToken = (ring: KeyRing, token: BootToken): Uint8Array => seal(ring, 'boot token', token);
export const sealTicket = (ring: KeyRing, ticket: Ticket): Uint8Array => seal(ring, 'ticket', ticket);

export function openBootToken(ring: KeyRing, bytes: Uint8Array, nowSeconds: number): Result<BootToken, TokenFault> {
  return openSealed(ring, 'boot token', bytes, nowSeconds, isBootToken);
}

export function openTicket(ring: KeyRing, bytes: Uint8Array, nowSeconds: number): Result<Ticket, TokenFault> {
  return openSealed(ring, 'ticket', bytes, nowSeconds, isTicket);
}

function openSealed<T extends { readonly expires: number; readonly device: string }>(
  ring: KeyRing,
  purpose: string,
  bytes: Uint8Array,
  nowSeconds: number,
  is: (value: unknown) => value is T,
): Result<T, TokenFault> {
  const opened = open(ring, purpose, bytes);
  if (!opened.ok) return fail('TokenInvalid', opened.error.message);
  if (!is(opened.value)) return fail('TokenInvalid', `the ${purpose} lacks fields: it was made by another release`);
  if (opened.value.expires <= nowSeconds)
    return fail(
      'TokenExpired',
      `the ${purpose} of ${opened.value.device} ended ${nowSeconds - opened.value.expires} s ago`,
    );
  return ok(opened.value);
}

const has = (value: object, key: string, type: 'string' | 'number'): boolean =>
  typeof (value as Record<string, unknown>)[key] === type;

function isBootToken(value: unknown): value is BootToken {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['device', 'mac', 'site', 'vdisk', 'manifest'].every((key) => has(value, key, 'string')) &&
    ['version', 'expires'].every((key) => has(value, key, 'number')) &&
    (!('uuid' in value) || has(value, 'uuid', 'string'))
  );
}

const isTicket = (value: unknown): value is Ticket =>
  isBootToken(value) && has(value, 'key', 'string') && has(value, 'sizeBytes', 'number');
