/** What the operator orders of this server: a file of its Secret, which the kubelet swaps. */
import { readFile } from 'node:fs/promises';
import { type MergeOrder, parseMergeOrders } from '../farm/merge.ts';

/** Undefined: it cannot be read now, and nothing is said of what was ordered. */
export async function readOrders(file: string): Promise<readonly MergeOrder[] | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseMergeOrders(text);
}
