/** All migrations in order. TypeScript, so that the compiler ships them; a committed one is never changed. */
import { sql as farm } from './0001-farm.ts';
import { sql as identity } from './0002-identity.ts';
import { sql as removed } from './0003-removed.ts';
import { sql as rights } from './0004-rights.ts';
import { sql as documents } from './0005-documents.ts';
import { sql as keys } from './0006-keys.ts';
import { sql as sharedUuids } from './0007-shared-uuids.ts';
import { sql as defaults } from './0008-defaults.ts';
import { sql as copies } from './0009-copies.ts';
import { sql as statements } from './0010-statements.ts';
import { sql as audit } from './0011-audit.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

export const migrations: readonly Migration[] = [
  { number: 1, name: 'farm', sql: farm },
  { number: 2, name: 'identity', sql: identity },
  { number: 3, name: 'removed', sql: removed },
  { number: 4, name: 'rights', sql: rights },
  { number: 5, name: 'documents', sql: documents },
  { number: 6, name: 'keys', sql: keys },
  { number: 7, name: 'shared-uuids', sql: sharedUuids },
  { number: 8, name: 'defaults', sql: defaults },
  { number: 9, name: 'copies', sql: copies },
  { number: 10, name: 'statements', sql: statements },
  { number: 11, name: 'audit', sql: audit },
];
