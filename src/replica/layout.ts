/**
 * How the replica lies in Redis.
 *
 * ```
 * bootfarm:meta                hash  farm, schema, token, epoch, snapshot, checkedAt
 * bootfarm:<kind>              hash  key → JSON, for each kind of database/kinds.ts
 * bootfarm:next:<token>:<kind>       the same while it is rebuilt, beside the live data
 * ```
 * All changes of one batch and META change in one MULTI, so a reader that asks for META and data in one MULTI never sees half.
 */
import type { Kind } from '../database/kinds.ts';

/** Raised when a reader of the last release could not read what this one writes. */
export const SCHEMA = 1;

export const META = 'bootfarm:meta';
export const kindKey = (kind: Kind): string => `bootfarm:${kind}`;
export const nextKey = (token: string, kind: Kind): string => `bootfarm:next:${token}:${kind}`;
export const NEXT_PATTERN = 'bootfarm:next:*';

export interface Meta {
  /** Id of the farm whose data this is. */
  readonly farm: string;
  readonly schema: number;
  /** Which state of the database: equals `feed_cursor` when the two agree. */
  readonly token: string;
  /** Of the leader that wrote last; a lower one may not write. */
  readonly epoch: number;
  /** The token at which a small kind last changed: readers keep their snapshot until it moves. */
  readonly snapshot: string;
}

/** From HGETALL; undefined when it is not there or lacks a field. */
export function parseMeta(fields: Readonly<Record<string, string>>): Meta | undefined {
  const { farm, schema, token, epoch, snapshot } = fields;
  if (!farm || !schema || !token || !epoch || !snapshot) return undefined;
  return { farm, schema: Number(schema), token, epoch: Number(epoch), snapshot };
}
