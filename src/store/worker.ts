/** The thread that hashes files. It waits for no disk: what it hashes lies in memory. */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { Answer, Order } from './hasher.ts';
import { Hashes } from './hashes.ts';

// Of this thread alone: what streams goes before it.
setPriority(constants.priority.PRIORITY_LOW);

/** By the number of the pass. */
const passes = new Map<number, { readonly hashes: Hashes; readonly memory: SharedArrayBuffer }>();

const answer = (said: Answer): void => parentPort?.postMessage(said);

function obey(order: Order): void {
  const { pass } = order;
  const found = passes.get(pass);
  switch (order.kind) {
    case 'begin':
      passes.set(pass, { hashes: new Hashes(order.shape), memory: order.memory });
      break;
    case 'add':
      found?.hashes.add(new Uint8Array(found.memory, order.at, order.bytes));
      answer({ kind: 'added', pass });
      break;
    case 'finish':
      if (found) answer({ kind: 'hashed', pass, hashed: found.hashes.finish() });
      break;
    case 'end':
      passes.delete(pass);
      break;
  }
}

parentPort?.on('message', obey);
