/**
 * How long iPXE takes for kernel and initramfs from our HTTP, beside nginx that serves the same files of the same namespace. One machine that fetches
 * them in turns and tells a judge when it begins and when it has them; it never boots.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lan } from '../../e2e/machine/lan.ts';
import { startMachine } from '../../e2e/machine/machine.ts';
import { inNamespace, run } from '../../e2e/machine/run.ts';
import { until } from '../../setup/time.ts';
import { median } from '../figure.ts';
import { type Road, startJudge, type Teller } from './start.ts';

/** Of Debian's package ipxe: QEMU starts it as a kernel, and its script is the initrd. */
const IPXE = '/boot/ipxe.lkrn';
const PORTS = { nginx: 8_080, judge: 8_090 };
const FILES = ['lab.vmlinuz', 'lab.initrd'];
const DEADLINE_MS = 240_000;
const STARTS_MS = 10_000;

export interface DownloadOptions {
  readonly lan: Lan;
  readonly road: Road;
  /** Has the files. */
  readonly image: string;
  /** For what is left behind. */
  readonly folder: string;
  readonly mac: string;
  readonly rounds: number;
}

export interface Downloads {
  readonly ours: number;
  readonly nginx: number;
}

/** Seconds, the median of the rounds. */
export async function measureDownloads(options: DownloadOptions): Promise<Downloads> {
  const { lan, road, image, folder, mac, rounds } = options;
  const [place] = lan.places;
  if (!place) throw new Error('the LAN has one place');
  const { namespace, address } = place;
  const judge = await startJudge(namespace, address, PORTS.judge);
  const nginx = await startNginx(namespace, address, image, folder);
  try {
    const sources = { ours: road.files, nginx: `http://${address}:${PORTS.nginx}` };
    const script = join(folder, 'downloads.ipxe');
    writeFileSync(script, scriptOf(sources, `http://${address}:${PORTS.judge}`, mac, rounds));
    const startMs = Date.now();
    const machine = await startMachine({
      ...{ name: 'download', namespace: lan.namespace, bridge: lan.bridge, mac, memoryMiB: 512 },
      stateDirectory: join(folder, 'downloads'),
      direct: { kernel: IPXE, initrd: script, commandLine: '' },
    });
    try {
      await until('it has fetched all', () => judge.since('end', startMs) !== undefined, DEADLINE_MS);
    } finally {
      await machine.kill();
    }
    const took = (name: keyof typeof sources): number => median(secondsOf(judge, name, rounds, startMs));
    return { ours: took('ours'), nginx: took('nginx') };
  } finally {
    await nginx();
    await judge.end();
  }
}

/** Each round is begun by another. The first of each is for the page cache, and counts for nothing. */
function scriptOf(sources: Readonly<Record<string, string>>, judge: string, mac: string, rounds: number): string {
  const tell = (event: string): string[] => [`imgfetch --name told ${judge}/${event} || goto failed`, 'imgfree told'];
  const fetch = (round: number, [name, base]: [string, string]): string[] => [
    ...tell(`${name}-${round}-begins`),
    ...FILES.map((file) => `imgfetch --name ${file} ${base}/${file}?mac=${mac} || goto failed`),
    ...tell(`${name}-${round}-ends`),
    ...FILES.map((file) => `imgfree ${file}`),
  ];
  const both = Object.entries(sources);
  const lines = Array.from({ length: rounds + 1 }, (_, round) =>
    (round % 2 === 0 ? both : both.toReversed()).flatMap((source) => fetch(round, source)),
  );
  return [
    '#!ipxe',
    'dhcp || goto failed',
    ...lines.flat(),
    ...tell('end'),
    ':failed',
    'echo failed',
    'sleep 600',
    '',
  ].join('\n');
}

function secondsOf(judge: Teller, name: string, rounds: number, startMs: number): number[] {
  const seconds = Array.from({ length: rounds }, (_, index) => {
    const [from, to] = ['begins', 'ends'].map((what) => judge.since(`${name}-${index + 1}-${what}`, startMs));
    if (from === undefined || to === undefined) throw new Error(`${name}: round ${index + 1} was not seen`);
    return (to - from) / 1_000;
  });
  console.error(`download, ${name}: ${seconds.map((one) => one.toFixed(2)).join(' ')} s`);
  return seconds;
}

/** As Debian sets it up, but for one site and no log; gives what ends it. */
async function startNginx(
  namespace: string,
  address: string,
  root: string,
  folder: string,
): Promise<() => Promise<void>> {
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `user root; daemon off; pid ${join(folder, 'nginx.pid')};
    events { worker_connections 768; }
    http { sendfile on; tcp_nopush on; access_log off; server { listen ${address}:${PORTS.nginx}; root ${root}; } }`,
  );
  const [command, ...enter] = inNamespace(namespace);
  const child = spawn(command, [...enter, 'nginx', '-c', config, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const listens = async (): Promise<boolean> =>
    (await run(command, ...enter, 'ss', '-Hltn', `sport = :${PORTS.nginx}`)).trim() !== '';
  await until('nginx listens', listens, STARTS_MS);
  return async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
}
