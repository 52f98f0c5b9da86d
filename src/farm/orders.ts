/**
 * What the operator orders of a server, in a file of its Secret: work on the files of its stores that nobody has to type. Pure.
 *
 * Who reads it may be of the release before, which takes whatever has a `version` for a merge: no other order has one.
 */
import { createHash } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

const place = {
  /** One that was done is not done again. */
  id: Type.String({ pattern: '^[0-9a-f]{8}$' }),
  /** Of the store: absolute, and nothing in it leads up. */
  folder: Type.String({ pattern: '^/(?!(?:[^]*/)?[.]{1,2}(?:/|$))[^\\u0000]*$', maxLength: 4_000 }),
  /** Of the VDisk: as its schema has it. */
  fileName: Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]*$', maxLength: 128 }),
};
const whole = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** The newest chain as a new base. `version` is the newest: where another one is by then, there is nothing to do. */
const Merge = Type.Object({ ...place, kind: Type.Literal('merge'), version: whole });
/** Version 0, and its kernel and initrd, where it has none yet. */
const Fetch = Type.Object({
  ...place,
  kind: Type.Literal('fetch'),
  url: Type.String({ pattern: '^https?://[^ ]+$', maxLength: 2_048 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  sizeBytes: Type.Optional(whole),
});
/** Kernel and initrd of the version `number`, out of its image. */
const BootFiles = Type.Object({ ...place, kind: Type.Literal('boot-files'), number: whole });
/**
 * What is here of a vDisk goes, where servers that were chosen have it (`store/giveback.ts`). `server`: whose order it is. `volume`: of the folder, as that server said
 * it, and no other server did: what has another one by then stays.
 */
const GiveBack = Type.Object({
  ...place,
  kind: Type.Literal('give-back'),
  server: Type.String({ minLength: 1, maxLength: 253 }),
  volume: Type.String({ minLength: 1, maxLength: 128 }),
});
const Order = Type.Union([Merge, Fetch, BootFiles, GiveBack]);

export type MergeOrder = Readonly<Static<typeof Merge>>;
export type FarmOrder = Readonly<Static<typeof Order>>;

/** A Secret has 1 MiB for all of its files; of one that is larger nothing is written, certificates neither. */
const MAX_ORDERS = 3_000;
const MAX_BYTES = 512 * 1_024;

/** Those that fit: what goes on first, for what is left out ends, then by id, which is another one in the next hour: so each has its turn. */
export function boundedOrders(
  orders: readonly FarmOrder[],
  isGoingOn: (order: FarmOrder) => boolean,
): readonly FarmOrder[] {
  const rankOf = (order: FarmOrder): string => `${isGoingOn(order) ? 0 : 1} ${order.id}`;
  const ranked = orders.map((order) => ({ order, rank: rankOf(order) }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const kept = new Set<FarmOrder>();
  let bytes = 2;
  for (const { order } of ranked.slice(0, MAX_ORDERS)) {
    bytes += Buffer.byteLength(JSON.stringify(order)) + 1;
    if (bytes > MAX_BYTES) break;
    kept.add(order);
  }
  return orders.filter((order) => kept.has(order));
}

/** Those of a file that may be of another release: what is no order is left out, and what says no kind is a merge. Undefined: it is no list. */
export function parseOrders(text: string): readonly FarmOrder[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return undefined;
    const orders = value.map((one: object) => ({ kind: 'merge', ...one }));
    return orders.filter((one): one is FarmOrder => Value.Check(Order, one)).slice(0, MAX_ORDERS);
  } catch {
    return undefined;
  }
}

/** What is ordered again in a later hour is another order. `subject`: all that makes it another order. */
export const orderId = (subject: string, nowSeconds: number): string =>
  createHash('sha256')
    .update(`${subject} ${Math.floor(nowSeconds / 3_600)}`)
    .digest('hex')
    .slice(0, 8);

/** What takes longer is ended. */
const MOST_HOURS = 48;

/** Those under which it may have been ordered, and still go on. */
export const orderIds = (subject: string, nowSeconds: number): readonly string[] =>
  Array.from({ length: MOST_HOURS }, (_, hours) => orderId(subject, nowSeconds - 3_600 * hours));

/** A server that may be ordered to do what one server does for all. */
export interface Hand {
  readonly server: string;
  /** See `orderId`: of this server alone. */
  readonly subject: string;
  /** By what is known of its store. */
  readonly isAble: boolean;
}

/** Work that a server tells of. */
export interface TellOfWork {
  readonly server: string;
  readonly id: string;
  readonly state: 'Queued' | 'Running' | 'Done' | 'Failed' | 'Cancelled';
  readonly message?: string | undefined;
}

export type HandChoice =
  | { readonly kind: 'Ordered'; readonly server: string; readonly id: string; readonly isGoingOn: boolean }
  /** By each that is able; it is tried again when they do not tell of it any more. */
  | { readonly kind: 'Failed'; readonly failed: readonly TellOfWork[] }
  | { readonly kind: 'NobodyAble' };

/**
 * One, and never two: who works goes on; else the first by the rendezvous hash of `what` and server of those that are able and tell of no failure. Of the work that
 * servers tell of, only what was ordered here counts: a server that says more orders nothing by that.
 */
export function chooseHand(
  what: string,
  hands: readonly Hand[],
  work: readonly TellOfWork[],
  nowSeconds: number,
): HandChoice {
  const ordered = hands
    .map((hand) => ({ ...hand, job: newestOf(hand, work, nowSeconds), weight: weightOf(what, hand.server) }))
    .sort((a, b) => (a.weight < b.weight ? -1 : 1));
  for (const { server, job } of ordered)
    if (job?.state === 'Queued' || job?.state === 'Running')
      return { kind: 'Ordered', server, id: job.id, isGoingOn: true };
  const able = ordered.filter(({ isAble }) => isAble);
  const failed = able.flatMap(({ job }) => (job?.state === 'Failed' || job?.state === 'Cancelled' ? [job] : []));
  const [next] = able.filter(({ job }) => !job || !failed.includes(job));
  if (next) return { kind: 'Ordered', server: next.server, id: orderId(next.subject, nowSeconds), isGoingOn: false };
  return failed.length > 0 ? { kind: 'Failed', failed } : { kind: 'NobodyAble' };
}

function newestOf({ server, subject }: Hand, work: readonly TellOfWork[], nowSeconds: number): TellOfWork | undefined {
  const own = work.filter((job) => job.server === server);
  if (own.length === 0) return undefined;
  for (const id of orderIds(subject, nowSeconds)) {
    const job = own.find((one) => one.id === id);
    if (job) return job;
  }
  return undefined;
}

const weightOf = (what: string, server: string): string =>
  createHash('sha256').update(`${what} ${server}`).digest('hex');
