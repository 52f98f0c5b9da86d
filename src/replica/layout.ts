/**
 * How the replica lies in Redis.
 *
 * ```
 * bootfarm:meta                hash  farm, adoptions, revision, schema, shape, kinds, token, epoch, snapshot, checkedAt
 * bootfarm:<kind>              hash  key → JSON, for each kind of database/kinds.ts
 * bootfarm:next:<token>:<kind>       the same while it is rebuilt, beside the live data
 * ```
 * All changes of one batch and META change in one MULTI, so a reader that asks for META and data in one MULTI never sees half.
 */
import { createHash } from 'node:crypto';
import type { Kind } from '../database/kinds.ts';
import type { Identity } from '../farm/identity.ts';
import { SCHEMAS } from '../farm/parse.ts';

/** Raised when a reader of the last release could not read what this one writes. */
export const SCHEMA = 1;

/**
 * Of the farm model as this release writes it. A leader that finds another one builds the replica anew: entries that no row's change would bring
 * (a column with a default is no change of a row) are those of its own release then. Readers do not ask: they read both.
 */
export const SHAPE = createHash('sha256').update(JSON.stringify(SCHEMAS)).digest('hex').slice(0, 16);

export const META = 'bootfarm:meta';
export const kindKey = (kind: Kind): string => `bootfarm:${kind}`;
export const nextKey = (token: string, kind: Kind): string => `bootfarm:next:${token}:${kind}`;
export const NEXT_PATTERN = 'bootfarm:next:*';

/** `farm`, `adoptions` and `revision` say whose data this is, and which state of its database was committed when it came here. */
export interface Meta extends Identity {
  readonly schema: number;
  readonly shape: string;
  /** Which state of the database: equals `feed_cursor` when the two agree. */
  readonly token: string;
  /** Of the leader that wrote last; a lower one may not write. */
  readonly epoch: number;
  /** The token at which a small kind last changed: readers keep their snapshot until it moves. */
  readonly snapshot: string;
}

/** From HGETALL; undefined when it names no farm. Any other field may lack or be no number: then it is of no token, no epoch, no revision. */
export function parseMeta(fields: Readonly<Record<string, string>>): Meta | undefined {
  const { farm, token = '', snapshot = '', shape = '' } = fields;
  if (!farm) return undefined;
  const number = (field: string): number => {
    const value = Number(fields[field]);
    return Number.isSafeInteger(value) ? value : 0;
  };
  const checkedAt = number('checkedAt');
  return {
    farm,
    token,
    snapshot,
    shape,
    schema: number('schema'),
    epoch: number('epoch'),
    adoptions: number('adoptions'),
    revision: number('revision'),
    ...(checkedAt > 0 ? { checkedAt } : {}),
  };
}
