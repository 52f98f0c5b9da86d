/**
 * What formats cost: the CPU of the stream server per GB through each, beside qemu-nbd on the same file in the page cache, all in turns in one run; how long a
 * large VHDX takes to be opened; what a leaf table takes. Of chains qemu-nbd has one of qcow2 with the same layout: it reads no differencing VHDX.
 */
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openImage } from '../../src/image/images.ts';
import { shapeOf } from '../../src/image/tree/layout.ts';
import { LeafTable, type TableRef } from '../../src/image/tree/table.ts';
import { writeImage } from '../builders/image.ts';
import { VHDX_TABLE, vhdxImage } from '../builders/vhdx.ts';
import { tableOf } from '../setup/leaves.ts';
import { type Figure, figure, median, type Run } from './figure.ts';
import { type BenchImage, DISK_BYTES, makeImages } from './image/files.ts';
import type { Opened } from './image/open.ts';
import { loopback, start } from './stream/rig.ts';
import { BULK, type Contender, one, type Sample, turns } from './stream/turns.ts';

const ROUNDS = 9;
/** Of `--only`. */
const PARTS = ['served', 'open', 'tables'];
const CHAINS = [3, 8];
/** Read from each server before it counts. */
const WARM_UP_BYTES = 2 ** 30;
const BARS = { server: 0.8, openMs: 50, openMiB: 32, tableSeconds: 0.4 };
/** Of our server on the raw file. */
const OF_RAW = 1.05;
const FIRST_PORT = 20_930;
/** What a client offers by the README's rule: loopback has an MTU of 65,536. */
const SEGMENT_BYTES = 65_408;

const point = (name: string, unit: string, value: number): Pick<Figure, 'bench' | 'figure' | 'unit' | 'value'> => ({
  ...{ bench: 'image', figure: name, unit, value },
});

export const run: Run = async function* ({ rounds = ROUNDS, only = PARTS } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-bench-'));
  try {
    const { raw, images } = makeImages(folder, CHAINS);
    console.error(`${rounds} rounds`);
    if (only.includes('served')) yield* served(raw, images, rounds);
    if (only.includes('open')) yield* opening(join(folder, 'large.vhdx'), rounds);
    if (only.includes('tables')) yield* tables(folder, images, rounds);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

interface Server extends Contender {
  readonly image: string;
}

async function* served(raw: string, images: readonly BenchImage[], rounds: number): AsyncGenerator<Figure> {
  const servers: Server[] = [];
  try {
    for (const [index, image] of images.entries()) servers.push(...(await startBoth(image, FIRST_PORT + 2 * index)));
    for (const server of servers) await one(loopback, raw, { ...BULK, totalBytes: WARM_UP_BYTES }, server);
    yield* serverFigures(await turns(loopback, raw, BULK, servers, rounds));
  } finally {
    for (const { running } of servers) await running.stop();
  }
}

async function startBoth({ name, ours, theirs }: BenchImage, port: number): Promise<Server[]> {
  const { host } = loopback;
  const serve = [process.execPath, join(import.meta.dirname, '../fakes/serve.ts'), '--native', 'native'];
  const own = await start(loopback, name, [...serve, '--file', ours, '--address', host, '--port', `${port}`], 'line');
  const { token }: { token: string } = JSON.parse(own.line);
  // As in the stream bench: read-only, page cache, its cheapest aio.
  const qemu = ['qemu-nbd', '-r', '-t', '--cache=writeback', '--aio=io_uring', '-b', host, '-p', `${port + 1}`];
  const peer = await start(loopback, `${name}-qemu`, [...qemu, '-f', theirs.format, theirs.path], { port: port + 1 });
  for (const { command } of [own, peer]) console.error(`${name}: ${command}`);
  return [
    {
      image: name,
      running: own,
      ours: true,
      task: { protocol: 'stream', port, token, maxSegmentBytes: SEGMENT_BYTES },
    },
    { image: name, running: peer, ours: false, task: { protocol: 'nbd', port: port + 1 } },
  ];
}

function* serverFigures(samples: ReadonlyMap<Server, readonly Sample[]>): Generator<Figure> {
  const all = [...samples].map(([server, each]) => ({ ...server, perGB: each.map(({ serverPerGB }) => serverPerGB) }));
  for (const { image, ours, perGB } of all)
    console.error(`${image} ${ours ? 'ours' : 'qemu-nbd'}: ${perGB.map((value) => value.toFixed(3)).join(' ')} s/GB`);
  const of = (image: string, ours: boolean): number =>
    median(all.find((server) => server.image === image && server.ours === ours)?.perGB ?? []);
  for (const image of new Set(all.map((server) => server.image))) {
    const head = point(`serverCpuSecondsPerGB.${image}`, 's/GB', of(image, true));
    yield figure(head, { name: 'qemu-nbd', value: of(image, false) }, BARS.server);
  }
  const vhdx = point('serverCpuSecondsPerGB.vhdx.ofRaw', 's/GB', of('vhdx', true));
  yield figure(vhdx, { name: 'raw', value: of('raw', true) }, OF_RAW);
}

const GIB = 2 ** 30;
const LARGE = { sizeBytes: 127 * GIB, blockBytes: 2 << 20 };
/** Odd, and no divisor of the blocks: it meets each once, and no two neighbours are neighbours in the file. */
const STEP = 20_011;

async function* opening(path: string, rounds: number): AsyncGenerator<Figure> {
  makeLarge(path);
  const opened: Opened[] = [];
  for (let round = 0; round < rounds; round++) {
    const script = join(import.meta.dirname, 'image/open.ts');
    opened.push(JSON.parse((await promisify(execFile)(process.execPath, [script, path])).stdout));
  }
  console.error(`open: ${opened.map(({ ms }) => ms.toFixed(1)).join(' ')} ms`);
  yield figure(point('openMs', 'ms', median(opened.map(({ ms }) => ms))), undefined, BARS.openMs);
  const mib = median(opened.map(({ peakBytes }) => peakBytes / 2 ** 20));
  yield figure(point('openMiB', 'MiB', mib), undefined, BARS.openMiB);
}

/** All of its blocks are there, in scattered order, and are holes in the file. */
function makeLarge(path: string): void {
  const image = vhdxImage({ ...LARGE, sectorBytes: 512, seed: 0, blocks: new Map() });
  writeImage(path, image);
  const blocks = LARGE.sizeBytes / LARGE.blockBytes;
  const ratio = 2 ** 32 / LARGE.blockBytes;
  const table = Buffer.alloc(8 * (blocks + Math.floor((blocks - 1) / ratio)));
  for (let block = 0; block < blocks; block++) {
    const at = image.sizeBytes + ((block * STEP) % blocks) * LARGE.blockBytes;
    table.writeBigUInt64LE((BigInt(at / 2 ** 20) << 20n) | 6n, 8 * (block + Math.floor(block / ratio)));
  }
  const fd = openSync(path, 'r+');
  writeSync(fd, table, 0, table.length, VHDX_TABLE);
  ftruncateSync(fd, image.sizeBytes + LARGE.sizeBytes);
  closeSync(fd);
}

async function* tables(folder: string, images: readonly BenchImage[], rounds: number): AsyncGenerator<Figure> {
  const perGB = (seconds: readonly number[]): number => median(seconds) / (DISK_BYTES / 1e9);
  // A server that makes tables has made some: the first of a process is that of V8's compilers.
  for (const { ours, below } of images) await chainSeconds(folder, [...below, ours]);
  for (const { name, ours, below } of images) {
    const alone: number[] = [];
    const shared: number[] = [];
    const chain: number[] = [];
    for (let round = 0; round < rounds; round++) {
      alone.push((await tableSeconds(folder, ours)).seconds);
      if (below.length === 0) continue;
      const each = await chainSeconds(folder, [...below, ours]);
      shared.push(each.at(-1) ?? 0);
      chain.push(each.reduce((sum, seconds) => sum + seconds, 0));
    }
    console.error(`table of ${name}: ${alone.map((value) => value.toFixed(3)).join(' ')} s`);
    const of = (figureName: string, seconds: readonly number[], bar?: number): Figure =>
      figure(point(`tableBuildSecondsPerGB.${figureName}`, 's/GB', perGB(seconds)), undefined, bar);
    yield of(name, alone, BARS.tableSeconds);
    if (below.length === 0) continue;
    yield of(`${name}.shared`, shared, BARS.tableSeconds);
    yield of(`${name}.allTables`, chain);
  }
  yield figure(point('tableBytesPerGB', 'bytes/GB', shapeOf(DISK_BYTES).fileBytes / (DISK_BYTES / 1e9)));
}

/** Of each image of a chain, the base first: the table of the one below is there. */
async function chainSeconds(folder: string, paths: readonly string[]): Promise<readonly number[]> {
  const each: number[] = [];
  let below: TableRef | undefined;
  for (const [index, path] of paths.entries()) {
    const { seconds, table } = await tableSeconds(folder, path, below, `table${index}`);
    each.push(seconds);
    below = table;
  }
  return each;
}

/** Of this process: reading the disk, hashing and writing the table. */
async function tableSeconds(
  folder: string,
  path: string,
  below?: TableRef,
  name?: string,
): Promise<{ readonly seconds: number; readonly table: TableRef }> {
  const opened = await openImage(path);
  if (!opened.ok) throw new Error(opened.error.message);
  const before = process.cpuUsage();
  const other = below && (await LeafTable.open(below, DISK_BYTES));
  if (other && !other.ok) throw new Error(other.error.message);
  const shared = other && { table: other.value, sizeBytes: DISK_BYTES, depth: 1 };
  const table = await tableOf(opened.value, folder, shared, name);
  const { user, system } = process.cpuUsage(before);
  await other?.value.close();
  await opened.value.close();
  return { seconds: (user + system) / 1e6, table };
}
