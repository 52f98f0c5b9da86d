/**
 * What a change of the disks costs a stream server that serves a large one: a VHD of 1 TiB, its blocks of 2 MiB in scattered order. Clients hedge at
 * 150 ms, so neither the main thread nor a stream thread may be busy with it for anything like that.
 */

import type { Export } from '../../src/export/frontend.ts';
import { type Disk, type Extent, SECTOR_BYTES } from '../../src/image/disk.ts';
import { patternDisk } from '../../src/image/pattern/pattern.ts';
import { type StreamServer, startStreamServer } from '../../src/stream/server.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { type Figure, figure, median, type Run } from './figure.ts';

const BLOCK_BYTES = 2 << 20;
const BLOCKS = 2 ** 40 / BLOCK_BYTES;
/** Odd, so that it meets each block once, and no two neighbours are neighbours in the file. */
const STEP = 200_003;
const ROUNDS = 9;

export const run: Run = async function* () {
  const started = await startStreamServer({
    address: '127.0.0.1',
    port: 0,
    threads: 1,
    ring: () => ({ current: 1, keys: new Map() }),
    mode: 'Trusted',
    site: 'bench',
    login: async () => ({ kind: 'refuse', code: 'NoServer', retryAfterMs: 0, text: '' }),
    onSession: () => undefined,
    onFailure: (error) => {
      throw error;
    },
    log: silentLogger,
    native: 'native',
  });
  if (!started.ok) throw new Error(started.error.message);
  try {
    yield* figures(started.value);
  } finally {
    await started.value.close();
  }
};

/** Of the main thread; each is the median of its rounds. The time until all threads have it is theirs to find a processor, too. */
const BAR_MS = { added: 150, changed: 15 };
const REF = { vdisk: 'lab', version: 0 };

async function* figures(server: StreamServer): AsyncGenerator<Figure> {
  const costs: Record<keyof typeof BAR_MS, Cost[]> = { added: [], changed: [] };
  for (let round = 0; round < ROUNDS; round++) {
    await server.setExports([]);
    const large = { ...REF, manifest: 'large', disk: aLargeDisk() };
    const small = { ...REF, manifest: 'small', disk: patternDisk({ sizeBytes: 1 << 20 }) };
    costs.added.push(await costOf(server, [large]));
    costs.changed.push(await costOf(server, [large, small]));
  }
  for (const name of ['added', 'changed'] as const) {
    const of = (key: keyof Cost): number => median(costs[name].map((cost) => cost[key]));
    const head = { bench: 'disks', unit: 'ms' };
    yield figure({ ...head, figure: `${name}.main`, value: of('mainMs') }, undefined, BAR_MS[name]);
    yield figure({ ...head, figure: `${name}.applied`, value: of('appliedMs') });
  }
}

interface Cost {
  /** CPU of the main thread. */
  readonly mainMs: number;
  /** Until each stream thread had it. */
  readonly appliedMs: number;
}

async function costOf(server: StreamServer, entries: readonly Export[]): Promise<Cost> {
  const [start, before] = [performance.now(), process.threadCpuUsage()];
  const applied = server.setExports(entries);
  const { user, system } = process.threadCpuUsage(before);
  await applied;
  return { mainMs: (user + system) / 1_000, appliedMs: performance.now() - start };
}

/** Nobody reads it: the descriptor is anyone's. A block is a bitmap of a sector, then its data. */
function aLargeDisk(): Disk {
  return {
    ...patternDisk({ sizeBytes: BLOCKS * BLOCK_BYTES }),
    *extents(): Generator<Extent> {
      for (let block = 0; block < BLOCKS; block++) {
        const fileOffset = ((block * STEP) % BLOCKS) * (BLOCK_BYTES + SECTOR_BYTES) + SECTOR_BYTES;
        yield { offset: block * BLOCK_BYTES, length: BLOCK_BYTES, fd: 0, fileOffset };
      }
    },
  };
}
