/** What is known of files by having read them, as it is kept in the state directory of a server. By path. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../kit/file.ts';
import type { Seen } from './rot.ts';

export interface Known extends Seen {
  readonly identity: string;
  /** The leaf table of the disk whose image it is: which, and its root. */
  readonly table?: { readonly key: string; readonly root: string };
  /** When all of it was read last, Unix milliseconds. */
  readonly at: number;
}

const FILE = 'digests.json';

/** What is not there, or not ours, is read from the files again. */
export async function readKnown(stateDirectory: string): Promise<ReadonlyMap<string, Known>> {
  try {
    const kept: unknown = JSON.parse(await readFile(join(stateDirectory, FILE), 'utf8'));
    const all = typeof kept === 'object' && kept !== null ? Object.entries(kept) : [];
    return new Map(all.filter((entry): entry is [string, Known] => isKnown(entry[1])));
  } catch {
    return new Map();
  }
}

/** Rejects where the file system does. One at a time. */
export const keepKnown = (stateDirectory: string, known: ReadonlyMap<string, Known>): Promise<void> =>
  replaceFile(join(stateDirectory, FILE), JSON.stringify(Object.fromEntries(known)));

const HEX = /^[0-9a-f]{64}$/;

function isKnown(value: unknown): value is Known {
  if (typeof value !== 'object' || value === null) return false;
  const { identity, sha256, was, table, at } = value as Record<string, unknown>;
  if (typeof at !== 'number' || typeof identity !== 'string') return false;
  return isHex(sha256) && (was === undefined || isHex(was)) && isTable(table);
}

function isTable(value: unknown): boolean {
  if (value === undefined) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { key, root } = value as Record<string, unknown>;
  return isHex(key) && isHex(root);
}

const isHex = (value: unknown): boolean => typeof value === 'string' && HEX.test(value);
