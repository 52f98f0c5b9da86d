/**
 * How long a device waits for a block when something happens to the server that serves it: real clients (`target/`), every block compared, one fault
 * after the other, each so many times (`--rounds`, 200; `--only` some of them). A round is one device and one fault; 25 devices have theirs at a time, from fresh. A figure is of
 * the longest wait of each round.
 */
import { execFileSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BOOT_TOKEN_LIFE_SECONDS, sealBootToken } from '../../src/farm/token.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import { FuseFolder } from '../fakes/fuse.ts';
import { type Device, type Report, startDevice } from './failover/device.ts';
import { FAULTS, type Fault } from './failover/faults.ts';
import { openSite, type Site } from './failover/site.ts';
import { type Figure, figure, type Run } from './figure.ts';

const ROUNDS = 200;
const AT_A_TIME = 25;
const FILE_BYTES = 32 << 20;
/** What a device reads: as a desktop that is in use, not as one that boots, so that 25 of them leave the processor idle. */
const READS = { depth: 4, maxKiB: 64, perSecond: 50, ms: 4_000 };
const WARM_UP = { depth: 8, maxKiB: 4, ms: 500 };
const FAULT_AFTER_MS = 700;
const MAX_BAR_MS = 1_000;

interface Rig {
  readonly site: Site;
  readonly folder: string;
  readonly file: string;
  /** The same bytes on a disk that can hang. */
  readonly fuse: FuseFolder;
  readonly fuseFile: string;
  /** Numbers of devices, so that none is there twice. */
  born: number;
}

export const run: Run = async function* ({ rounds = ROUNDS, only = FAULTS.map(({ name }) => name) } = {}) {
  const faults = FAULTS.filter(({ name }) => only.includes(name));
  if (faults.length < only.length)
    throw new Error(`--only ${only}: a fault is one of ${FAULTS.map(({ name }) => name).join(', ')}`);
  execFileSync('make', ['-s', '-C', join(import.meta.dirname, '../../target'), 'all', 'build/kernel'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-failover-'));
  const file = join(folder, 'disk.raw');
  const mount = join(folder, 'fuse');
  mkdirSync(mount);
  const content = randomFillSync(Buffer.alloc(FILE_BYTES));
  writeFileSync(file, content);
  const fuse = new FuseFolder(mount, { 'disk.raw': content }, false);
  const site = await openSite();
  const rig: Rig = { site, folder, file, fuse, fuseFile: join(mount, 'disk.raw'), born: 0 };
  try {
    yield* figures(rig, faults, rounds);
  } finally {
    await site.close();
    fuse.close();
    rmSync(folder, { recursive: true });
  }
};

async function* figures(rig: Rig, faults: readonly Fault[], rounds: number): AsyncGenerator<Figure> {
  const all: Report[] = [];
  for (const fault of faults) {
    const reports: Report[] = [];
    while (reports.length < rounds) reports.push(...(await together(rig, fault)));
    all.push(...reports);
    const stalls = reports.map(({ longestStallMs }) => longestStallMs).sort((a, b) => a - b);
    console.error(`${fault.name}: ${stalls.map((ms) => ms.toFixed(0)).join(' ')}`);
    const part = (of: number): number => stalls[Math.ceil(stalls.length * of) - 1] ?? Number.NaN;
    const of = (name: string, ms: number, bar?: number): Figure =>
      figure({ bench: 'failover', figure: `${name}.${fault.name}`, unit: 'ms', value: ms }, undefined, bar);
    yield of('stallP50Ms', part(0.5));
    yield of('stallP99Ms', part(0.99), fault.p99BarMs);
    yield of('stallMaxMs', part(1), MAX_BAR_MS);
  }
  const sum = (key: 'wrong' | 'failed' | 'reads'): number => all.reduce((total, report) => total + report[key], 0);
  console.error(`${all.length} rounds, ${sum('reads')} reads`);
  yield figure({ bench: 'failover', figure: 'wrongReads', unit: 'reads', value: sum('wrong') }, undefined, 0);
  yield figure({ bench: 'failover', figure: 'failedReads', unit: 'reads', value: sum('failed') }, undefined, 0);
}

/** One fault for many devices at a time. */
async function together(rig: Rig, fault: Fault): Promise<readonly Report[]> {
  const { site, fuse } = rig;
  if (fault.ownDisk) await site.servers[0].kill();
  for (const [index, server] of site.servers.entries())
    if (!server.runs) await startServer(rig, index, fault.ownDisk && index === 0 ? rig.fuseFile : rig.file);
  const devices = await startDevices(rig, fault);
  let heal = (): void => undefined;
  try {
    const [first] = site.servers;
    const served = devices.filter((device) => device.status().current === first.name);
    if (served.length === 0) throw new Error(`${fault.name}: the first server serves nobody`);
    const { depth, ms, maxKiB, perSecond } = READS;
    // A device that has booted: its hedges are paid for by what it has read.
    await Promise.all(served.map((device) => device.read(WARM_UP.depth, WARM_UP.ms, WARM_UP.maxKiB, 0)));
    const reading = served.map((device) => device.read(depth, ms, maxKiB, perSecond));
    await delay(FAULT_AFTER_MS);
    await fault.happens(site, {
      hang: () => {
        heal = fuse.hang();
      },
    });
    const reports = await Promise.all(reading);
    const left = served.filter((device) => device.status().current !== first.name).length;
    console.error(`${fault.name}: ${served.length} devices, ${left} left the first server`);
    return reports;
  } finally {
    heal();
    await Promise.all(devices.map((device) => device.end()));
    await mend(rig, fault);
  }
}

/** As it was before. */
async function mend({ site }: Rig, { ownDisk }: Fault): Promise<void> {
  const [first] = site.servers;
  first.signal('SIGCONT');
  await first.link('up');
  await first.dropNothing();
  if (ownDisk) await first.kill();
}

function startServer({ site, file }: Rig, index: number, of: string): Promise<void> {
  const server = site.servers[index];
  if (!server) throw new Error(`there is no server ${index}`);
  return server.start(
    of,
    file,
    site.servers.map(({ name }) => name),
  );
}

/** As the farm gives it to a device, by the key and the version of `test/fakes/serve.ts`. */
function tokenOf(content: string, device: string, mac: string): string {
  const ring: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 1)]]) };
  const manifest = createHash('sha256').update(content).digest('hex');
  const expires = Math.floor(Date.now() / 1_000) + BOOT_TOKEN_LIFE_SECONDS;
  const token = { vdisk: 'lab', version: 0, manifest, device, mac, site: 'default', expires };
  return Buffer.from(sealBootToken(ring, token)).toString('base64url');
}

/** All attached to the first server and standing by at another: at the second, where the fault wants that. */
async function startDevices(rig: Rig, fault: Fault): Promise<Device[]> {
  const { site, folder, file } = rig;
  const servers = site.servers.map(({ name }) => name);
  const [, second] = site.servers;
  const fit: Device[] = [];
  while (fit.length < AT_A_TIME) {
    const born = Array.from({ length: AT_A_TIME - fit.length }, () => rig.born++);
    const devices = await Promise.all(
      born.map((number) => {
        const mac = `52:54:00:00:${[number >> 8, number & 0xff].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
        const own = { namespace: site.namespace, folder: join(folder, `device-${number}`) };
        return startDevice({ ...own, file, token: tokenOf(file, `pc${number}`, mac), servers, mac });
      }),
    );
    for (const device of devices) {
      if (fault.standby === undefined || device.status().standby === second.name) fit.push(device);
      else await device.end();
    }
  }
  return fit;
}
