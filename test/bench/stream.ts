/**
 * Server CPU per GB, beside nbdkit and qemu-nbd on the same file in the page cache, in the same run, in turns. The client compares every byte
 * with the file. CPU time is that of the server's whole control group, in which the kernel counts softirq work too (on loopback that includes
 * the client's half of the receive path, for all alike); ksoftirqd's time is added to whoever was measured while it ran.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import { type Figure, figure, median, type Run } from './figure.ts';
import { loopback, type Place, start, vethPlace } from './stream/rig.ts';
import { BULK, type Contender, one, type Point, type Sample, turns } from './stream/turns.ts';

const FILE_BYTES = 256 << 20;
/** The median of 7 over a veth fell on both sides of the bar within a day: 0.790 and 0.803 of nbdkit. */
const ROUNDS = 15;
/** Read from each server before it counts: a server lives for weeks, its hot path is compiled after the first GB. */
const WARM_UP_BYTES = 2 ** 31;
/** What a client offers by the README's rule, MTU − 28 − 64: loopback has an MTU of 65,536, which TCP uses too. */
const SEGMENTS = { loopback: 65_408, veth: 1_408 };
/** Server CPU against the better plain peer, by place and what is authenticated. */
const BARS: Readonly<Record<string, number>> = {
  '': 0.7,
  '.authenticated': 0.8,
  '.authenticated.suite1': 1.25,
  '.4k.d1': 0.85,
  '.veth': 0.8,
  '.veth.authenticated': 0.9,
};
/** Client CPU in mode Authenticated against the peer's client. */
const CLIENT_BARS: Readonly<Record<string, number>> = { '.authenticated': 1.3 };

const SATURATED: Point = { ...BULK, suffix: '.saturated', totalBytes: 2 ** 29, readers: 2 };
const SMALL: Point = { suffix: '.4k.d1', length: 4_096, depth: 1, totalBytes: 32 << 20, readers: 1 };

export const run: Run = async function* () {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-bench-'));
  const file = join(folder, 'disk.raw');
  try {
    makeFile(file);
    yield* measure(loopback, file, [BULK, SATURATED, SMALL]);
    const veth = vethPlace();
    try {
      yield* measure(veth, file, [BULK]);
    } finally {
      veth.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** Written just now: it is in the page cache, and no disk is measured. */
function makeFile(path: string): void {
  const fd = openSync(path, 'w');
  const piece = 16 << 20;
  for (let offset = 0; offset < FILE_BYTES; offset += piece) writeSync(fd, patternBytes(offset, piece));
  closeSync(fd);
}

async function* measure(place: Place, file: string, points: readonly Point[]): AsyncGenerator<Figure> {
  const contenders = await startAll(place, file);
  try {
    for (const contender of contenders) await one(place, file, { ...BULK, totalBytes: WARM_UP_BYTES }, contender);
    for (const point of points) yield* figures(place, point, await turns(place, file, point, contenders, ROUNDS));
  } finally {
    for (const { running } of contenders) await running.stop();
  }
}

async function startAll(place: Place, file: string): Promise<Contender[]> {
  const { host } = place;
  const serve = join(import.meta.dirname, '../fakes/serve.ts');
  const ours = async (name: string, port: number, ...options: readonly string[]): Promise<Contender> => {
    const command = [process.execPath, serve, '--file', file, '--address', host, '--port', `${port}`];
    const running = await start(place, name, [...command, ...options, '--native', 'native'], 'line');
    const { token }: { token: string } = JSON.parse(running.line);
    return { running, ours: true, task: { protocol: 'stream', port, token, maxSegmentBytes: SEGMENTS[place.name] } };
  };
  const peer = async (name: string, port: number, command: readonly string[]): Promise<Contender> => {
    const running = await start(place, name, command, { port });
    return { running, ours: false, task: { protocol: 'nbd', port } };
  };
  // nbdkit(1), nbdkit-file-plugin(1): read-only, parallel by default; fewer threads switch less on few processors.
  const nbdkit = ['nbdkit', '-f', '-r', '-i', host];
  // qemu-nbd(8): raw, no locking on a read-only export, page cache, io_uring is its cheapest aio.
  const qemu = ['qemu-nbd', '-r', '-t', '-f', 'raw', '--cache=writeback', '--aio=io_uring', '-b', host];
  const contenders = [
    await ours('trusted', 20_910),
    await peer('nbdkit', 20_911, [...nbdkit, '-p', '20911', 'file', file]),
    await peer('nbdkit-t2', 20_912, [...nbdkit, '-p', '20912', '-t', '2', 'file', file]),
    await ours('authenticated', 20_913, '--mode', 'authenticated', '--leaves'),
    await ours('authenticated.suite1', 20_915, '--mode', 'authenticated'),
    await peer('qemu-nbd', 20_914, [...qemu, '-p', '20914', file]),
  ];
  for (const { running } of contenders) console.error(`${place.name} ${running.name}: ${running.command}`);
  return contenders;
}

function* figures(place: Place, point: Point, samples: ReadonlyMap<Contender, readonly Sample[]>): Generator<Figure> {
  const of = (contender: Contender, key: keyof Sample): number =>
    median((samples.get(contender) ?? []).map((sample) => sample[key]));
  const all = [...samples.keys()];
  for (const contender of all)
    console.error(
      `${place.name}${point.suffix} ${contender.running.name}: server ${of(contender, 'serverPerGB').toFixed(3)} s/GB (${(samples.get(contender) ?? []).map(({ serverPerGB }) => serverPerGB.toFixed(2)).join(' ')}), client ${of(contender, 'clientPerGB').toFixed(3)} s/GB, ${of(contender, 'megabytesPerSecond').toFixed(0)} MB/s, ${of(contender, 'repeats')} repeats`,
    );
  const peers = all.filter(({ ours }) => !ours);
  const best = peers.toSorted((a, b) => of(a, 'serverPerGB') - of(b, 'serverPerGB'))[0];
  if (!best) return;
  const where = place.name === 'loopback' ? '' : `.${place.name}`;
  for (const contender of all.filter(({ ours }) => ours)) {
    const mode = contender.running.name === 'trusted' ? '' : `.${contender.running.name}`;
    const name = `${where}${point.suffix}${mode}`;
    const point_ = (base: string, unit: string, key: keyof Sample, bar?: number): Figure => {
      const head = { bench: 'stream', figure: base + name, unit, value: of(contender, key) };
      return figure(head, { name: best.running.name, value: of(best, key) }, bar);
    };
    yield point_('serverCpuSecondsPerGB', 's/GB', 'serverPerGB', BARS[name]);
    yield point_('clientCpuSecondsPerGB', 's/GB', 'clientPerGB', CLIENT_BARS[name]);
    yield point_('megabytesPerSecond', 'MB/s', 'megabytesPerSecond');
  }
}
