/** All migrations in order. TypeScript, so that the compiler ships them; a committed one is never changed. */
import { sql as farm } from './0001-farm.ts';
import { sql as removed } from './0003-removed.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

export const migrations: readonly Migration[] = [
  { number: 1, name: 'farm', sql: farm },
  { number: 3, name: 'removed', sql: removed },
];
