/**
 * One step of the change feed, level-based: what is written is the row as it is now, never what happened to it, so doing it twice is
 * doing it once. Database and Redis are kept together by a token that both store; where they disagree, all is built anew.
 *
 * ```
 * BEGIN repeatable read; lock feed_cursor; read dirty, read the rows behind it
 *     WATCH META; MULTI; changes, META(new token); EXEC
 * delete those dirty rows; feed_cursor := new token; COMMIT      (a crash between EXEC and COMMIT: tokens differ: rebuild)
 * ```
 * A rebuild replaces what the replica holds, so it asks first whether this is the database that the replica is of (`farm/identity.ts`).
 */
import { randomUUID } from 'node:crypto';
import type { ChainableCommander, Redis } from 'ioredis';
import { type Kysely, sql } from 'kysely';
import type { Database } from '../database/connection.ts';
import type { DatabaseFault } from '../database/fault.ts';
import { type FoundDatabase, readIdentity } from '../database/identity.ts';
import { type Entry, isKind, KINDS, type Kind, readEntries, readPage, SMALL_KINDS } from '../database/kinds.ts';
import type { Tables } from '../database/tables.ts';
import { describeKinship, type IdentityReason, judgeDatabase, reasonOf } from '../farm/identity.ts';
import type { Result } from '../kit/result.ts';
import { slices } from '../kit/slices.ts';
import { kindKey, META, type Meta, NEXT_PATTERN, nextKey, SCHEMA, SHAPE } from './layout.ts';
import { asked, fenced, metaOf, type RedisFault } from './link.ts';

export interface Leader {
  readonly farmId: string;
  readonly epoch: number;
}

/** `token` is what both sides hold now, `revision` that of the database once it has committed, `settled` that of META. */
export type Step =
  | {
      readonly kind: 'Done';
      readonly token: string;
      readonly revision: number;
      readonly settled: number;
      readonly changes: number;
    }
  /** META is not as this leader left it, or the cursor is not: attach again. */
  | { readonly kind: 'Disagree' }
  /** A leader of a later epoch writes. */
  | { readonly kind: 'Fenced'; readonly epoch: number }
  /** This database may not fill this replica: nothing was written. Only a person helps. */
  | { readonly kind: 'Refused'; readonly reason: IdentityReason; readonly message: string }
  | { readonly kind: 'RedisFailed'; readonly fault: RedisFault };

type Hindered = Exclude<Step, { readonly kind: 'Done' }>;

export type StepResult = Promise<Result<Step, DatabaseFault>>;

/** Rows of `dirty` in one step: the more, the longer a follower waits for the first of them. */
const BATCH = 2_000;
const PAGE = 2_000;
/** Rows of `dirty` in one deletion: 40 ms of the 2 s. */
const SLICE = 10_000;
/** Fields of one HSET. */
const FIELDS = 500;

/** Applies the oldest changes to a replica that stands at `token`. */
export function applyChanges(database: Database, redis: Redis, leader: Leader, token: string): StepResult {
  return inFeed(database, leader, async (trx, cursor) => {
    if (cursor.token !== token) return { kind: 'Disagree' };
    const rows = await trx.selectFrom('dirty').select(['id', 'kind', 'key']).orderBy('id').limit(BATCH).execute();
    const changes = await readChanges(trx, rows);
    const next = randomUUID();
    const small = changes.some(({ kind }) => (SMALL_KINDS as readonly Kind[]).includes(kind));
    const hindered = await onRedis(() =>
      write(redis, leader, token, (multi) => {
        for (const change of changes) putChange(multi, change);
        multi.hset(META, { token: next, ...(small ? { snapshot: next } : {}), checkedAt: Date.now() });
      }),
    );
    if (hindered) return hindered;
    // in this snapshot: a row of a transaction that commits later stays, whatever its id
    await trx
      .deleteFrom('dirty')
      .where('id', '<=', rows.at(-1)?.id ?? 0)
      .execute();
    await moveCursor(trx, leader, next);
    const { revision } = cursor;
    return { kind: 'Done', token: next, revision: revision + 1, settled: revision, changes: rows.length };
  });
}

/** Takes over what is there when both sides agree on it; `Disagree` asks for `rebuild`. */
export function takeOver(database: Database, redis: Redis, leader: Leader): StepResult {
  return inFeed(database, leader, async (trx, cursor) => {
    const { token, adoptions, revision } = cursor;
    const hindered = await onRedis(() =>
      write(redis, leader, token, (multi) =>
        multi.hset(META, { epoch: leader.epoch, adoptions, revision, checkedAt: Date.now() }),
      ),
    );
    if (hindered) return hindered;
    await trx.updateTable('feed_cursor').set({ epoch: leader.epoch }).execute();
    return { kind: 'Done', token, revision, settled: revision, changes: 0 };
  });
}

/** Builds the whole replica beside the live one and switches in one step; never in place of another farm's, nor of a later state. */
export function rebuild(database: Database, redis: Redis, leader: Leader): StepResult {
  return inFeed(database, leader, async (trx, cursor) => {
    const held = await onRedis(() => metaOf(redis));
    const refusal = mayNotReplace(held, cursor);
    if (refusal) return refusal;
    const token = randomUUID();
    await onRedis(() => dropLeftovers(redis));
    const filled: Kind[] = [];
    let changes = 0;
    for (const kind of KINDS) {
      const count = await stage(trx, redis, token, kind);
      if (count > 0) filled.push(kind);
      changes += count;
    }
    const done = await onRedis(() =>
      fenced(
        redis,
        (meta) => !outranked(meta, leader) && !mayNotReplace(meta, cursor),
        (multi) => {
          multi.unlink(META, ...KINDS.map(kindKey));
          for (const kind of filled) multi.rename(nextKey(token, kind), kindKey(kind));
          multi.hset(META, {
            farm: leader.farmId,
            adoptions: cursor.adoptions,
            revision: cursor.revision,
            schema: SCHEMA,
            shape: SHAPE,
            kinds: KINDS.join(' '),
            token,
            epoch: leader.epoch,
            snapshot: token,
            checkedAt: Date.now(),
          });
        },
      ),
    );
    if (done.kind === 'Unexpected') return refused(done.meta, leader);
    await forgetDirty(trx);
    await moveCursor(trx, leader, token);
    return { kind: 'Done', token, revision: cursor.revision + 1, settled: cursor.revision, changes };
  });
}

const mayNotReplace = (
  held: Meta | undefined,
  found: FoundDatabase,
): Extract<Step, { kind: 'Refused' }> | undefined => {
  const kinship = held ? judgeDatabase(held, found) : 'Same';
  if (!held || kinship === 'Same') return undefined;
  return {
    kind: 'Refused',
    reason: reasonOf(kinship),
    message: describeKinship(kinship, 'the replica', held, found),
  };
};

async function moveCursor(trx: Kysely<Tables>, { epoch }: Leader, token: string): Promise<void> {
  await trx
    .updateTable('feed_cursor')
    .set({ token, epoch, revision: sql`revision + 1`, stepped_at: sql`now()` })
    .execute();
}

/**
 * Says that the replica still equals the database: `FarmReplica.checkedAt` of every follower. `settled`: a revision that the database does
 * not lose any more.
 */
export async function confirm(
  redis: Redis,
  leader: Leader,
  token: string,
  settled: number,
): Promise<Hindered | undefined> {
  const answer = await asked('primary', () =>
    write(redis, leader, token, (multi) => multi.hset(META, { revision: settled, checkedAt: Date.now() })),
  );
  return answer.ok ? answer.value : { kind: 'RedisFailed', fault: answer.error };
}

/** Carries a fault of Redis out of the transaction, which rolls back. */
class RedisFailed extends Error {
  readonly fault: RedisFault;
  constructor(fault: RedisFault) {
    super(fault.message);
    this.fault = fault;
  }
}

const onRedis = async <T>(work: () => Promise<T>): Promise<T> => {
  const answer = await asked('primary', work);
  if (!answer.ok) throw new RedisFailed(answer.error);
  return answer.value;
};

/**
 * One feed at a time: the row lock on the cursor is held until Redis has answered. Who comes meanwhile gets a `Conflict` and asks again:
 * waiting would run into the statement timeout during a long rebuild, which counts as a dead database.
 */
function inFeed(
  database: Database,
  leader: Leader,
  work: (trx: Kysely<Tables>, cursor: FoundDatabase & { readonly token: string }) => Promise<Step>,
): StepResult {
  return database.run(async (db) => {
    try {
      return await db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (trx): Promise<Step> => {
          const cursor = await trx
            .selectFrom('feed_cursor')
            .select(['token', 'epoch'])
            .forUpdate()
            .noWait()
            .executeTakeFirstOrThrow();
          const found = await readIdentity(trx);
          const foreign = foreignTo(leader, found);
          if (foreign) return foreign;
          const epoch = Math.max(cursor.epoch, await leadingEpoch(trx));
          if (epoch > leader.epoch) return { kind: 'Fenced', epoch };
          return await work(trx, { ...found, token: cursor.token });
        });
    } catch (thrown) {
      if (thrown instanceof RedisFailed) return { kind: 'RedisFailed', fault: thrown.fault };
      throw thrown;
    }
  });
}

/** Between two looks of the operator the database may have become another one. */
function foreignTo({ farmId }: Leader, found: FoundDatabase): Extract<Step, { kind: 'Refused' }> | undefined {
  if (found.farm === farmId) return undefined;
  const known = { farm: farmId, adoptions: 0, revision: 0 };
  const kinship = found.farm === undefined ? 'Empty' : 'Foreign';
  return { kind: 'Refused', reason: 'DatabaseForeign', message: describeKinship(kinship, 'this Farm', known, found) };
}

const leadingEpoch = async (trx: Kysely<Tables>): Promise<number> =>
  (await trx.selectFrom('leader').select('epoch').executeTakeFirst())?.epoch ?? 0;

const outranked = (meta: Meta | undefined, leader: Leader): boolean =>
  meta !== undefined && meta.farm === leader.farmId && meta.epoch > leader.epoch;

const refused = (meta: Meta | undefined, leader: Leader): Hindered =>
  meta && outranked(meta, leader) ? { kind: 'Fenced', epoch: meta.epoch } : { kind: 'Disagree' };

/** Writes to a replica that stands at `token`; undefined when it is done. */
async function write(
  redis: Redis,
  leader: Leader,
  token: string,
  fill: (multi: ChainableCommander) => void,
): Promise<Hindered | undefined> {
  const done = await fenced(
    redis,
    (meta) =>
      meta !== undefined &&
      meta.farm === leader.farmId &&
      meta.schema === SCHEMA &&
      meta.shape === SHAPE &&
      meta.token === token &&
      meta.epoch <= leader.epoch,
    fill,
  );
  return done.kind === 'Done' ? undefined : refused(done.meta, leader);
}

interface Change {
  readonly kind: Kind;
  readonly present: readonly Entry[];
  readonly absent: readonly string[];
}

/** Kinds of a later release are none of ours. */
async function readChanges(
  trx: Kysely<Tables>,
  rows: readonly { readonly kind: string; readonly key: string }[],
): Promise<Change[]> {
  const keys = new Map<Kind, Set<string>>();
  for (const { kind, key } of rows) if (isKind(kind)) keys.set(kind, (keys.get(kind) ?? new Set()).add(key));
  const changes: Change[] = [];
  for (const [kind, wanted] of keys) {
    const present = await readEntries(trx, kind, [...wanted]);
    for (const { key } of present) wanted.delete(key);
    changes.push({ kind, present, absent: [...wanted] });
  }
  return changes;
}

function putChange(multi: ChainableCommander, { kind, present, absent }: Change): void {
  for (const some of slices(present, FIELDS))
    multi.hset(kindKey(kind), ...some.flatMap(({ key, json }) => [key, json]));
  for (const some of slices(absent, FIELDS)) multi.hdel(kindKey(kind), ...some);
}

/** All that this snapshot sees; in slices, because hours without a leader may have left millions. */
async function forgetDirty(trx: Kysely<Tables>): Promise<void> {
  for (;;) {
    const some = trx.selectFrom('dirty').select('id').orderBy('id').limit(SLICE);
    const { numDeletedRows } = await trx.deleteFrom('dirty').where('id', 'in', some).executeTakeFirstOrThrow();
    if (numDeletedRows < BigInt(SLICE)) return;
  }
}

/** Of rebuilds that did not come to their end. */
async function dropLeftovers(redis: Redis): Promise<void> {
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', NEXT_PATTERN, 'COUNT', 1_000);
    if (keys.length > 0) await redis.unlink(...keys);
    cursor = next;
  } while (cursor !== '0');
}

async function stage(trx: Kysely<Tables>, redis: Redis, token: string, kind: Kind): Promise<number> {
  let count = 0;
  for (let after = ''; ; ) {
    const page = await readPage(trx, kind, after, PAGE);
    for (const some of slices(page, FIELDS))
      await onRedis(() => redis.hset(nextKey(token, kind), ...some.flatMap(({ key, json }) => [key, json])));
    count += page.length;
    const last = page.at(-1);
    if (page.length < PAGE || !last) return count;
    after = last.key;
  }
}
