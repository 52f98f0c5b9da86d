/**
 * How the passwords and the authority of a farm change while machines stream: the new one is accepted by all before anybody uses it, and the old
 * one until nobody does. All state is in the Secret that holds them, so any leader goes on where the last one was. Pure.
 *
 * ```
 * X ── request ──► X, X-next ── all took it up ──► X (it was next), X-former ── all took it up ──► X
 * ```
 */
import { createHash } from 'node:crypto';
import type { SecretChange, SecretData } from '../secrets.ts';

/** On the Farm, as ROTATE_KEYS_ANNOTATION: any text that was not taken up yet asks for new ones. */
export const ROTATE_PASSWORDS_ANNOTATION = 'bootfarm.io/rotate-passwords';
export const ROTATE_CA_ANNOTATION = 'bootfarm.io/rotate-ca';

/** A request that ends so waits for nobody: what leaked ends at once, and who has not taken up the new one does without until it has. */
export const NOW = '/now';
export const isHurried = (request: string | undefined): boolean => request?.endsWith(NOW) ?? false;

/** Keys of a Secret that change together. */
export interface Turning {
  readonly names: readonly [string, ...string[]];
  /** Those whose old values stay valid until nobody uses them. */
  readonly overlapping: readonly [string, ...string[]];
}

/** Who has not taken up what the Secret held when it was `of`. */
export interface TakeUp {
  readonly of: string;
  readonly lacking: readonly string[];
}

export type TurnStep =
  | { readonly kind: 'Rest' }
  | { readonly kind: 'Add'; readonly request: string }
  /** Until these have taken it up; nobody: it is not known yet who has. */
  | { readonly kind: 'Wait'; readonly for: readonly string[] }
  | { readonly kind: 'Switch' }
  | { readonly kind: 'Drop' };

const REQUEST = 'request';
export const nextOf = (name: string): string => `${name}-next`;
export const formerOf = (name: string): string => `${name}-former`;

/** What is accepted, the one in use first. */
export const acceptedOf = (held: SecretData, name: string): readonly string[] =>
  [name, nextOf(name), formerOf(name)].flatMap((key) => held[key]?.toString().trim() ?? []);

/** The newest that everybody should accept. */
export const newestOf = (held: SecretData, name: string): string =>
  (held[nextOf(name)] ?? held[name] ?? '').toString().trim();

/** Tells one state of the values from every other. */
export function digestOf(held: SecretData, { names }: Turning): string {
  const hash = createHash('sha256');
  for (const key of names.flatMap((name) => [name, nextOf(name), formerOf(name)]))
    hash.update(`${key}=${held[key]?.toString('base64') ?? ''}\n`);
  return hash.digest('hex').slice(0, 16);
}

/** `seen` counts for the state that it was seen of: a leader that paused, or read before somebody wrote, decides nothing. */
export function planTurn(held: SecretData, turning: Turning, { request, seen }: Asked): TurnStep {
  const isNext = held[nextOf(turning.names[0])] !== undefined;
  if (isNext || held[formerOf(turning.overlapping[0])] !== undefined) {
    const known = seen?.of === digestOf(held, turning) ? seen.lacking : undefined;
    const lacking = isHurried(request) ? [] : known;
    if (lacking?.length !== 0) return { kind: 'Wait', for: lacking ?? [] };
    return { kind: isNext ? 'Switch' : 'Drop' };
  }
  if (request !== undefined && request !== '' && request !== held[REQUEST]?.toString()) return { kind: 'Add', request };
  return { kind: 'Rest' };
}

/** What a step writes into the Secret; `made` is a new value of each name. */
export function turnChange(
  held: SecretData,
  { names, overlapping }: Turning,
  step: TurnStep,
  made: SecretData,
): SecretChange {
  switch (step.kind) {
    case 'Add':
      return {
        ...Object.fromEntries(names.map((name) => [nextOf(name), made[name]])),
        [REQUEST]: Buffer.from(step.request),
      };
    case 'Switch':
      return Object.fromEntries([
        ...overlapping.map((name) => [formerOf(name), held[name]] as const),
        ...names.flatMap((name) => [[name, held[nextOf(name)]] as const, [nextOf(name), undefined] as const]),
      ]);
    case 'Drop':
      return Object.fromEntries(overlapping.map((name) => [formerOf(name), undefined]));
    case 'Rest':
    case 'Wait':
      return {};
  }
}

/** What is asked for and what was seen, of one Secret. */
export interface Asked {
  readonly request?: string | undefined;
  readonly seen?: TakeUp | undefined;
}

/** Who makes the values of a Secret, and what must come first before the new ones are the ones in use. */
export interface Maker extends Turning {
  make(held: SecretData): Promise<SecretData> | SecretData;
  /** False: not now. */
  beforeSwitch?(held: SecretData): Promise<boolean>;
}

/** The next step of a Secret that has its values, and what it holds after it. */
export async function turn(
  held: SecretData,
  maker: Maker,
  asked: Asked,
): Promise<{ readonly step: TurnStep; readonly change: SecretChange }> {
  const planned = planTurn(held, maker, asked);
  const waits = planned.kind === 'Switch' && !((await maker.beforeSwitch?.(held)) ?? true);
  const step: TurnStep = waits ? { kind: 'Wait', for: ['the database'] } : planned;
  const made = step.kind === 'Add' ? await maker.make(held) : {};
  return { step, change: turnChange(held, maker, step, made) };
}

/** Of the Farm's status. */
export interface TurnStatus {
  readonly state: 'Settled' | 'Distributing';
  readonly request?: string;
  readonly message?: string;
}

/** One that was found in a Secret: what was done, and what the Secret holds now. */
export interface Turn {
  readonly step: TurnStep;
  readonly held: SecretData;
}

/** Of Secrets that change for one request, each at its own pace. */
export function turnStatus(what: string, turns: readonly Turn[]): TurnStatus {
  const [taken, ...others] = turns.map(({ held }) => held[REQUEST]?.toString());
  const head = taken !== undefined && others.every((other) => other === taken) ? { request: taken } : {};
  if (turns.every(({ step }) => step.kind === 'Rest')) return { state: 'Settled', ...head };
  const waits = [...new Set(turns.flatMap(({ step }) => (step.kind === 'Wait' ? step.for : [])))];
  const message =
    waits.length > 0
      ? `${what} change when all have taken up the last step, which kubelets hand on within two minutes: waiting for ${waits.join(', ')}`
      : `${what} change`;
  return { state: 'Distributing', ...head, message };
}
