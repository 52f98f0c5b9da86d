/**
 * How the farm's key is changed while machines stream: a new key is added, every server takes it up, it becomes the current one, and the old one goes
 * when no ticket of it can live any more. All state is in the Secret that servers mount, so any leader goes on where the last one was. Pure.
 *
 * ```
 * current 1, key-1 ── request ──► + key-2 ── each server names 2 ──► current 2, retired-1: now ── 7 days, 1 hour ──► key-1 goes
 * ```
 */
import { randomBytes } from 'node:crypto';
import { TICKET_LIFE_SECONDS } from '../../farm/token.ts';
import type { SecretChange, SecretData } from '../secrets.ts';
import { isHurried } from './turn.ts';

/** On the Farm: any text that the Secret has not seen as its request yet asks for a new key. */
export const ROTATE_KEYS_ANNOTATION = 'bootfarm.io/rotate-keys';

/** A server may seal with the old key until the kubelet has written the Secret anew, and far longer on a node that it cannot reach just now. */
const TAKE_UP_MS = 3_600_000;
export const KEY_OVERLAP_MS = TICKET_LIFE_SECONDS * 1_000 + TAKE_UP_MS;

export interface KeyState {
  readonly current: number;
  readonly ids: readonly number[];
  /** When a key ceased to be the current one, Unix milliseconds, by id. */
  readonly retired: ReadonlyMap<number, number>;
  /** The request that was taken up last. */
  readonly taken?: string;
}

export interface KeyFacts {
  readonly state: KeyState;
  /** What the Farm's annotation says. */
  readonly request?: string;
  /** Every server that should be there; without `keys`, it has not said which it has. Undefined: none was asked yet, so that no key is switched to. */
  readonly servers: readonly { readonly name: string; readonly keys?: readonly number[] }[] | undefined;
  readonly now: number;
}

export type KeyStep =
  | { readonly kind: 'Rest' }
  | { readonly kind: 'Add'; readonly id: number; readonly request: string }
  /** Until these servers name the new key; nobody: it is not known yet who does. */
  | { readonly kind: 'Wait'; readonly id: number; readonly servers: readonly string[] }
  | { readonly kind: 'Switch'; readonly id: number }
  /** These are old, and nobody wrote since when. */
  | { readonly kind: 'Retire'; readonly ids: readonly number[] }
  | { readonly kind: 'Keep'; readonly until: number }
  | { readonly kind: 'Drop'; readonly ids: readonly number[] };

export function planKeys({ state, request, servers, now }: KeyFacts): KeyStep {
  const { current, ids, retired, taken } = state;
  const old = ids.filter((id) => id < current);
  const unmarked = old.filter((id) => !retired.has(id));
  if (unmarked.length > 0) return { kind: 'Retire', ids: unmarked };
  const hurried = isHurried(request);
  const ended = old.filter((id) => hurried || now >= endOf(state, id));
  if (ended.length > 0) return { kind: 'Drop', ids: ended };
  const next = ids.find((id) => id > current);
  if (next !== undefined) {
    const lacking = servers?.filter(({ keys }) => !keys?.includes(next)).map(({ name }) => name);
    return lacking?.length === 0 || hurried
      ? { kind: 'Switch', id: next }
      : { kind: 'Wait', id: next, servers: lacking ?? [] };
  }
  if (request !== undefined && request !== '' && request !== taken) return { kind: 'Add', id: current + 1, request };
  return old.length > 0 ? { kind: 'Keep', until: Math.max(...old.map((id) => endOf(state, id))) } : { kind: 'Rest' };
}

const endOf = ({ retired }: KeyState, id: number): number => (retired.get(id) ?? 0) + KEY_OVERLAP_MS;

const CURRENT = 'current';
const REQUEST = 'request';
/** Never changes: by it what nodes keep is found by the farm whose keys these are, and by no other that bears its name. */
const LINEAGE = 'lineage';
const LINEAGE_BYTES = 8;
const keyName = (id: number): string => `key-${id}`;
const retiredName = (id: number): string => `retired-${id}`;

/** A farm's first key. */
export const newKeys = (key: Buffer): SecretData => ({ [CURRENT]: Buffer.from('1'), [keyName(1)]: key });

/** In hexadecimal digits; undefined: these keys have none yet. What a person wrote there and is none counts for none. */
export const lineageOf = (held: SecretData): string | undefined =>
  /^[0-9a-f]{16}$/.exec(held[LINEAGE]?.toString().trim() ?? '')?.[0];

/** What gives one to keys that have none. */
export const lineageChange = (held: SecretData): SecretChange =>
  lineageOf(held) === undefined ? { [LINEAGE]: Buffer.from(randomBytes(LINEAGE_BYTES).toString('hex')) } : {};

/** Ids rise, so that the highest is the newest. */
export function keyState(held: SecretData): KeyState {
  const of = (pattern: RegExp): readonly number[] =>
    Object.keys(held)
      .flatMap((name) => pattern.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  const retired = of(/^retired-(\d{1,9})$/).map(
    (id) => [id, Date.parse(held[retiredName(id)]?.toString() ?? '')] as const,
  );
  const taken = held[REQUEST]?.toString();
  return {
    current: Number(held[CURRENT]?.toString().trim()),
    ids: of(/^key-(\d{1,9})$/),
    retired: new Map(retired.filter(([, at]) => !Number.isNaN(at))),
    ...(taken === undefined ? {} : { taken }),
  };
}

/** What a step writes into the Secret; `key` is 32 random bytes. */
export function keyChange({ current }: KeyState, step: KeyStep, key: Buffer, now: number): SecretChange {
  const retire = (ids: readonly number[]): SecretChange =>
    Object.fromEntries(ids.map((id) => [retiredName(id), Buffer.from(new Date(now).toISOString())]));
  switch (step.kind) {
    case 'Add':
      return { [keyName(step.id)]: key, [REQUEST]: Buffer.from(step.request) };
    case 'Switch':
      return { [CURRENT]: Buffer.from(String(step.id)), ...retire([current]) };
    case 'Retire':
      return retire(step.ids);
    case 'Drop':
      return Object.fromEntries(
        step.ids.flatMap((id) => [
          [keyName(id), undefined],
          [retiredName(id), undefined],
        ]),
      );
    case 'Rest':
    case 'Wait':
    case 'Keep':
      return {};
  }
}

/** Of the Farm's status. */
export interface KeysStatus {
  readonly state: 'Settled' | 'Distributing' | 'Overlapping';
  readonly current: number;
  readonly request?: string;
  readonly message?: string;
}

export function keysStatus({ current, taken }: KeyState, step: KeyStep): KeysStatus {
  const head = { current, ...(taken === undefined ? {} : { request: taken }) };
  switch (step.kind) {
    case 'Rest':
      return { state: 'Settled', ...head };
    case 'Keep': {
      const message = `the keys before key ${current} open what they sealed until ${new Date(step.until).toISOString()}`;
      return { state: 'Overlapping', ...head, message };
    }
    case 'Wait': {
      const message = `key ${step.id} is used when every server has it: waiting for ${step.servers.join(', ') || 'what they say'}`;
      return { state: 'Distributing', ...head, message };
    }
    default:
      return { state: 'Distributing', ...head, message: 'the keys change' };
  }
}
