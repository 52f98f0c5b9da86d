/** What a server counts, of one that just started and knows nothing. */
import type { ServerNumbers } from '../../src/server/metrics.ts';
import { NO_PULLS } from '../../src/store/pulls.ts';

export const someNumbers = (more: Partial<ServerNumbers> = {}): ServerNumbers => ({
  stream: () => undefined,
  buffers: () => undefined,
  load: () => ({ devices: 0, booting: 0, loadPercent: 0 }),
  servedCopies: () => 0,
  journalEntries: () => 0,
  pulls: () => NO_PULLS,
  rottenChunks: () => 0,
  jobs: () => 0,
  databaseReachable: () => true,
  faults: () => [],
  peers: () => ({ registered: 0, alive: 0 }),
  replicaCheckedAt: async () => undefined,
  databaseAwaySince: () => undefined,
  stores: () => [],
  keeps: async () => true,
  tlsDirectory: '/nowhere',
  ...more,
});
