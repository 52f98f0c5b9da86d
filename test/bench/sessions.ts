/**
 * Twenty thousand devices that a server serves and as many that stand by, on one processor: what they cost when they are idle, how long a READ takes
 * when each reads once a second and more often, and how long all of them take to come back after the server died. The client has the other
 * processor, its devices an address each behind a router (`sessions/`).
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import { type Figure, figure, type Run } from './figure.ts';
import type { CrowdOptions, Phase, PhaseResult } from './sessions/crowd.ts';
import { bufferDrops, crowdPlace, PORT } from './sessions/place.ts';
import { type Place, type Running, softirqThreadSeconds, start } from './stream/rig.ts';

const DEVICES = 20_000;
/** Who reads on while all others come back. */
const HONEST = { devices: 200, readsPerSecond: 1_000 };
const FILE_BYTES = 64 << 20;
const READ_BYTES = 32_768;
const SEED = 20_261_129;
const SECONDS = 10;
/** Before anything counts: a server lives for weeks, its hot paths are compiled. */
const WARM_UP_SECONDS = 3;
const ATTACHES_PER_SECOND = 4_000;
const BURSTS = [512, 2_000, 4_000, 8_000, 16_000];
const KNEE = { from: 30_000, step: 5_000, to: 100_000, seconds: 3 };
const BAR = {
  readP99Ms: 20,
  rssMiB: 1_024,
  idleCpuPercent: 12,
  reattachSeconds: 3,
  reattachReadP99Ms: 100,
  attachUs: 60,
};

interface Measured extends PhaseResult {
  readonly cpuSeconds: number;
  readonly drops: number;
}

/** The server as it runs now, and the crowd before it. */
interface Site {
  readonly place: Place;
  readonly file: string;
  server: Running;
  readonly ask: (phase: Phase) => Promise<PhaseResult>;
}

export const run: Run = async function* () {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-bench-'));
  const file = join(folder, 'disk.raw');
  const fd = openSync(file, 'w');
  writeSync(fd, patternBytes(0, FILE_BYTES));
  closeSync(fd);
  const place = crowdPlace();
  try {
    const server = await serve(place, file);
    const crowd = await startCrowd(place, file);
    const site: Site = { place, file, server, ask: crowd.ask };
    try {
      yield* figures(site);
    } finally {
      await crowd.stop();
      await site.server.stop();
    }
  } finally {
    place.close();
    rmSync(folder, { recursive: true });
  }
};

const serve = (place: Place, file: string): Promise<Running> => {
  const program = [process.execPath, join(import.meta.dirname, '../fakes/serve.ts'), '--quiet', '--native', 'native'];
  const where = ['--file', file, '--address', place.host, '--port', String(PORT)];
  return start(place, 'sessions', [...program, ...where, '--mode', 'authenticated'], 'line');
};

async function startCrowd(place: Place, file: string) {
  const options: CrowdOptions = {
    ...{ serve: DEVICES, standby: DEVICES, honest: HONEST.devices },
    ...{ host: place.host, file, fileBytes: FILE_BYTES, readBytes: READ_BYTES, seed: SEED },
  };
  const [program = '', ...args] = [...place.client, process.execPath, join(import.meta.dirname, 'sessions/crowd.ts')];
  const child = spawn(program, [...args, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<PhaseResult> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the crowd ended');
    return JSON.parse(value);
  };
  await next();
  return {
    ask: (phase: Phase) => {
      child.stdin.write(`${JSON.stringify(phase)}\n`);
      return next();
    },
    stop: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

async function measure({ place, server, ask }: Site, phase: Phase): Promise<Measured> {
  const [cpu, before] = [server.cpuSeconds() + softirqThreadSeconds(), bufferDrops(place.server)];
  const result = await ask(phase);
  const measured = {
    ...result,
    cpuSeconds: server.cpuSeconds() + softirqThreadSeconds() - cpu,
    drops: bufferDrops(place.server) - before,
  };
  const rounded = Object.entries(measured).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  console.error(`${JSON.stringify(phase)}: ${rounded.join(', ')}, dropped by the client ${bufferDrops(place.client)}`);
  return measured;
}

const percent = ({ cpuSeconds, seconds }: Measured): number => (100 * cpuSeconds) / seconds;

const named = (name: string, unit: string, value: number, bar?: number): Figure =>
  figure({ bench: 'sessions', figure: name, unit, value }, undefined, bar);

async function* figures(site: Site): AsyncGenerator<Figure> {
  console.error(`seed ${SEED}; READs of ${READ_BYTES} bytes; ${site.server.command}`);
  let attached = 0;
  for (const who of ['serve', 'standby'] as const) {
    const come = await measure(site, { kind: 'attach', who, perSecond: ATTACHES_PER_SECOND, readsPerSecond: 0 });
    attached += come.attached;
    if (who === 'standby') yield named('attachCpuUs', 'µs', (come.cpuSeconds * 1e6) / come.attached, BAR.attachUs);
  }
  if (attached < 2 * DEVICES) throw new Error(`${attached} of ${2 * DEVICES} sessions`);
  yield named('sessions', 'sessions', attached);

  await measure(site, { kind: 'run', readsPerSecond: DEVICES, seconds: WARM_UP_SECONDS });
  await measure(site, { kind: 'run', readsPerSecond: 0, seconds: WARM_UP_SECONDS });
  const idle = await measure(site, { kind: 'run', readsPerSecond: 0, seconds: SECONDS });
  yield named('idleCpuPercent', '%', percent(idle), BAR.idleCpuPercent);
  yield named('idleLostPings', 'PINGs', idle.pings - idle.pongs);
  const busy = await measure(site, { kind: 'run', readsPerSecond: DEVICES, seconds: SECONDS });
  yield named('readP50Ms', 'ms', busy.p50Ms);
  yield named('readP99Ms', 'ms', busy.p99Ms, BAR.readP99Ms);
  yield named('readsLost', 'READs', busy.lost);
  yield named('busyCpuPercent', '%', percent(busy));
  yield named('busyClientPercent', '%', busy.busyPercent);
  yield named('rssMiB', 'MiB', rssMiB(site.server), BAR.rssMiB);
  for (const reads of BURSTS) {
    const { p99Ms, drops } = await measure(site, { kind: 'burst', reads });
    yield named(`burst.${reads}.p99Ms`, 'ms', p99Ms);
    yield named(`burst.${reads}.drops`, 'packets', drops);
  }
  yield named('knee', 'READs/s', await knee(site));
  yield* reattach(site);
}

/** The most READs a second whose p99 is within the bar. */
async function knee(site: Site): Promise<number> {
  let held = DEVICES;
  for (let readsPerSecond = KNEE.from; readsPerSecond <= KNEE.to; readsPerSecond += KNEE.step) {
    const { p99Ms } = await measure(site, { kind: 'run', readsPerSecond, seconds: KNEE.seconds });
    if (p99Ms > BAR.readP99Ms) break;
    held = readsPerSecond;
  }
  return held;
}

/** The server dies; the one in its place has a crowd before its door at the first moment. */
async function* reattach(site: Site): AsyncGenerator<Figure> {
  await site.server.stop();
  site.server = await serve(site.place, site.file);
  await measure(site, { kind: 'attach', who: 'honest', perSecond: 0, readsPerSecond: 0 });
  const back = await measure(site, {
    ...{ kind: 'attach', who: 'serve', perSecond: 0 },
    readsPerSecond: HONEST.readsPerSecond,
  });
  if (back.attached < DEVICES) throw new Error(`${back.attached} of ${DEVICES} came back`);
  yield named('reattachSeconds', 's', back.seconds, BAR.reattachSeconds);
  yield named('reattachReadP99Ms', 'ms', back.p99Ms, BAR.reattachReadP99Ms);
  yield named('reattachCpuUs', 'µs', (back.cpuSeconds * 1e6) / back.attached);
  yield named('reattachDrops', 'packets', back.drops);
}

/** Of the server's process, whose number it said when it served. */
function rssMiB({ line }: Running): number {
  const { pid }: { pid: number } = JSON.parse(line);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  console.error(execFileSync('grep', ['^Rss\\|^VmRSS', `/proc/${pid}/status`], { encoding: 'utf8' }).trim());
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}
