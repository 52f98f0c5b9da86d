/**
 * A vDisk from server to server: 4 GiB of which 5 % changed, and afresh, beside rsync's daemon; sixteen servers that pull from one, each with a card of a gigabit. Ours
 * by mutual TLS and until the disk has it; rsync's plain, and until it ends. Our time is that of the pull: a server runs already.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Manifests } from '../../src/transfer/keep.ts';
import type { Manifest } from '../../src/transfer/manifest.ts';
import { type Farm, makeFarm } from '../fakes/transfer.ts';
import { digested, makeChanged, makeRandom } from './copy/files.ts';
import type { NodeTask } from './copy/node.ts';
import { limitedPlaces, Node } from './copy/nodes.ts';
import { startReading } from './copy/reading.ts';
import { MODES, startDaemon } from './copy/rsync.ts';
import { type Figure, figure, median, type Run } from './figure.ts';

const ROUNDS = 3;
const GIB = 2 ** 30;
const BARS = { changed: 1 / 3, fresh: 1, fanout: 2, reading: 2 };
const PORTS = { ours: 20_960, rsync: 20_961, stream: 20_962 };
/** As a server's worker has it. */
const NICE = 10;
const READING_SECONDS = 5;
const READ_BYTES = GIB / 4;
const PULLERS = 16;
/** What they pull, unless another size is asked for: sixteen of 4 GiB have no room on the disk of a small machine. */
const FANOUT_BYTES = GIB / 4;
/** Two cores that encrypt, decrypt and hash for seventeen servers are slower than their cards: the second shows the plan, not the processor. */
const CARDS_MEGABITS = [1_000, 100];
const SEED = 15;

const point = (name: string, unit: string, value: number) => ({ bench: 'copy', figure: name, unit, value });

export const run: Run = async function* ({ rounds = ROUNDS, only, gib = 4 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-bench-'));
  const is = (part: string) => only === undefined || only.includes(part);
  try {
    const farm = await makeFarm();
    const images = new Images(folder, farm, gib * GIB);
    if (is('changed') || is('fresh')) yield* beside(images, rounds, is);
    if (is('reading')) yield* reading(images, rounds);
    rmSync(folder, { recursive: true });
    for (const megabits of CARDS_MEGABITS)
      if (is(`fanout${megabits}`)) {
        mkdirSync(folder);
        yield* fanout(folder, farm, megabits, rounds);
        rmSync(folder, { recursive: true });
      }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

class Images {
  readonly state: string;
  readonly given: string;
  readonly before: string;
  readonly after: string;
  readonly target: string;
  readonly farm: Farm;
  readonly sizeBytes: number;

  constructor(folder: string, farm: Farm, sizeBytes: number) {
    this.state = join(folder, 'state');
    this.given = join(folder, 'given');
    mkdirSync(this.given);
    this.before = join(folder, 'lab.raw');
    this.after = join(this.given, 'lab.1.raw');
    this.target = join(folder, 'lab.1.raw');
    this.farm = farm;
    this.sizeBytes = sizeBytes;
  }

  async make(): Promise<{ before: Manifest; after: Manifest }> {
    makeRandom(this.before, this.sizeBytes);
    const clusters = makeChanged(this.after, this.before, this.sizeBytes, SEED);
    const began = process.cpuUsage();
    const made = { before: digested(this.before, this.sizeBytes), after: digested(this.after, this.sizeBytes) };
    const { user, system } = process.cpuUsage(began);
    const perGB = (user + system) / 1e6 / ((2 * this.sizeBytes) / 1e9);
    console.error(
      `${clusters} clusters are others; digest and manifest take ${perGB.toFixed(2)} s of the processor a GB`,
    );
    for (const manifest of [made.before, made.after]) await new Manifests(this.state).keep(manifest);
    return made;
  }
}

/** All that was written before is on the disk. */
const settle = (): void => void execFileSync('sync');

async function* beside(images: Images, rounds: number, is: (part: string) => boolean): AsyncGenerator<Figure> {
  const { before, after } = await images.make();
  const { sha256, sizeBytes, root } = after;
  const { farm, state } = images;
  const source = { name: 'source', host: '127.0.0.1', port: PORTS.ours };
  const holds = [{ sha256, path: images.after }];
  const server = await Node.start({ farm, state, holds, name: 'source', address: '127.0.0.1', port: PORTS.ours });
  const daemon = await startDaemon(images.given, PORTS.rsync);
  const seconds = new Map<string, number[]>();
  const add = (name: string, value: number) => {
    console.error(`${name}: ${value.toFixed(2)} s`);
    seconds.set(name, [...(seconds.get(name) ?? []), value]);
  };
  const ours = async (name: string, part: Omit<NonNullable<NodeTask['pull']>, 'path' | 'peers'>) => {
    rmSync(images.target, { force: true });
    settle();
    const pull = { ...part, path: images.target, peers: [source] };
    const node = await Node.start({ farm, state, holds: [], name: 'puller', address: '127.0.0.1', port: 0, pull });
    const report = await node.pull();
    await node.stop();
    execFileSync('cmp', [images.target, images.after]);
    console.error(`${name}: ${JSON.stringify(report)}`);
    add(name, report.seconds);
  };
  const theirs = async (name: string, options: readonly string[], old?: string) => {
    rmSync(images.target, { force: true });
    if (old) copyFileSync(old, images.target);
    settle();
    add(name, await daemon.fetch('lab.1.raw', images.target, options));
  };
  const base = { sha256: before.sha256, path: images.before };
  try {
    for (let round = 0; round < rounds; round++) {
      if (is('changed')) {
        await ours('changed', { wanted: { sha256, sizeBytes, root }, base });
        await ours('changed, digest alone', { wanted: { sha256, sizeBytes }, base });
        for (const [name, options] of Object.entries(MODES)) await theirs(`changed, ${name}`, options, images.before);
      }
      if (is('fresh')) {
        await ours('fresh', { wanted: { sha256, sizeBytes, root } });
        await ours('fresh, digest alone', { wanted: { sha256, sizeBytes } });
        await theirs('fresh, rsync --whole-file', MODES['rsync --whole-file']);
      }
    }
  } finally {
    await server.stop();
    await daemon.stop();
  }
  const of = (name: string) => median(seconds.get(name) ?? []);
  const best = (part: string) =>
    [...seconds.keys()]
      .filter((name) => name.startsWith(`${part}, rsync`))
      .map((name) => ({ name: name.slice(part.length + 2), value: of(name) }))
      .reduce((one, other) => (one.value <= other.value ? one : other));
  for (const part of ['changed', 'fresh'] as const) {
    if (!is(part)) continue;
    yield figure(point(`${part}CopySeconds`, 's', of(part)), best(part), BARS[part]);
    yield figure(point(`${part}CopySeconds.digestAlone`, 's', of(`${part}, digest alone`)), best(part));
  }
}

/**
 * What a device reads of the file that a server has beside a copy that comes to the same server. Whoever gives it has the same two processors here, at the same
 * priority as what streams: a server that gives while it streams.
 */
async function* reading(images: Images, rounds: number): AsyncGenerator<Figure> {
  const { after } = await images.make();
  const { sha256, sizeBytes, root } = after;
  const { farm, state } = images;
  const holds = [{ sha256, path: images.after }];
  const source = { name: 'source', host: '127.0.0.1', port: PORTS.ours };
  const server = await Node.start({ farm, state, holds, name: 'source', address: '127.0.0.1', port: PORTS.ours });
  const read = `${images.before}.read`;
  makeRandom(read, READ_BYTES);
  const device = await startReading(read, PORTS.stream);
  const p99s = { alone: [] as number[], beside: [] as number[] };
  try {
    for (let round = 0; round < rounds; round++) {
      settle();
      p99s.alone.push(await device.p99Ms(READING_SECONDS));
      rmSync(images.target, { force: true });
      const pull = { path: images.target, wanted: { sha256, sizeBytes, root }, peers: [source], nice: NICE };
      const node = await Node.start({ farm, state, holds: [], name: 'puller', address: '127.0.0.1', port: 0, pull }, [
        ...['nice', '-n', String(NICE)],
      ]);
      const pulled = node.pull();
      const p99Ms = await device.p99Ms(READING_SECONDS);
      const isOver = await Promise.race([pulled.then(() => true), Promise.resolve(false)]);
      if (isOver)
        throw new Error(`the copy was over before ${READING_SECONDS} s: ask for more than ${sizeBytes} bytes`);
      p99s.beside.push(p99Ms);
      await pulled;
      await node.stop();
      console.error(`p99 ${p99s.alone.at(-1)?.toFixed(2)} ms alone, ${p99Ms.toFixed(2)} ms beside a copy`);
    }
  } finally {
    await device.stop();
    await server.stop();
  }
  const [alone, beside] = [median(p99s.alone), median(p99s.beside)];
  yield figure(point('readP99MsAlone', 'ms', alone));
  yield figure(point('readP99RatioDuringCopy', '', beside / alone), undefined, BARS.reading);
}

async function* fanout(folder: string, farm: Farm, megabits: number, rounds: number): AsyncGenerator<Figure> {
  const state = join(folder, 'state');
  const given = join(folder, 'given.raw');
  makeRandom(given, FANOUT_BYTES);
  const manifest = digested(given, FANOUT_BYTES);
  await new Manifests(state).keep(manifest);
  const lan = limitedPlaces(PULLERS + 1, megabits);
  try {
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const one = await together(1);
      const all = await together(PULLERS);
      ratios.push(all / one);
      console.error(`${megabits} Mb/s: one ${one.toFixed(2)} s, ${PULLERS} ${all.toFixed(2)} s`);
    }
    yield figure(
      point(`fanoutRatio${megabits === 1_000 ? '' : `.${megabits}m`}`, '', median(ratios)),
      undefined,
      BARS.fanout,
    );
  } finally {
    lan.close();
  }

  async function together(count: number): Promise<number> {
    const { sha256, sizeBytes, root } = manifest;
    const servers = lan.places
      .slice(0, count + 1)
      .map(({ address, enter }, at) => ({ name: `server-${at}`, address, enter }));
    const peers = servers.map(({ name, address }) => ({ name, host: address, port: PORTS.ours }));
    settle();
    const nodes: Node[] = [];
    try {
      for (const [at, { name, address, enter }] of servers.entries()) {
        const pull = {
          path: join(folder, `${name}.raw`),
          wanted: { sha256, sizeBytes, root },
          peers: peers.filter((peer) => peer.name !== name),
        };
        const holds = at === 0 ? [{ sha256, path: given }] : [];
        nodes.push(
          await Node.start({ farm, name, address, port: PORTS.ours, state, holds, ...(at > 0 && { pull }) }, enter),
        );
      }
      const began = performance.now();
      const reports = await Promise.all(nodes.slice(1).map((node) => node.pull()));
      const seconds = (performance.now() - began) / 1_000;
      const source = reports.reduce((sum, { peerBytes }) => sum + (peerBytes['server-0'] ?? 0), 0);
      const cpu = reports.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
      console.error(
        `${count}: the source gave ${(source / sizeBytes).toFixed(2)} files; pullers took ${cpu.toFixed(1)} s of the processor`,
      );
      for (const { name } of servers.slice(1)) execFileSync('cmp', [join(folder, `${name}.raw`), given]);
      return seconds;
    } finally {
      for (const node of nodes) await node.stop();
      for (const { name } of servers) rmSync(join(folder, `${name}.raw`), { force: true });
    }
  }
}
