/** A server that heard of no machine. */
import type { BootSource } from '../../src/control/server.ts';

export const NO_BOOTS: BootSource = {
  records: () => ({ records: [] }),
  unknown: () => ({ machines: [], more: 0 }),
};
