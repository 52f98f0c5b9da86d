/** What the operator orders of this server, as jobs: a file of its Secret, which the kubelet swaps. */
import { readFile } from 'node:fs/promises';
import { type FarmOrder, parseOrders } from '../farm/orders.ts';
import { baseTarget } from '../store/base.ts';
import type { Order } from './job.ts';

export interface Ordered {
  /** Of the job. */
  readonly id: string;
  readonly order: Order;
}

/** Undefined: it cannot be read now, and nothing is said of what was ordered. */
export async function readOrders(file: string): Promise<readonly Ordered[] | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseOrders(text)?.map((order) => ({ id: order.id, order: jobOrder(order) }));
}

function jobOrder(order: FarmOrder): Order {
  const { kind, folder, fileName } = order;
  switch (kind) {
    case 'merge':
      return { kind, folder, fileName, into: 'base', version: order.version };
    case 'give-back':
      return { kind, folder, fileName, server: order.server, volume: order.volume };
    case 'boot-files':
      return { kind, folder, fileName, version: order.number };
    case 'fetch': {
      const { url, sha256, sizeBytes } = order;
      const target = baseTarget({ folder, fileName }, url);
      return { kind, url, sha256, target, asBase: true, ...(sizeBytes !== undefined && { sizeBytes }) };
    }
  }
}
