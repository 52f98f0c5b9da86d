/** `make matrix`: a machine boots through every MTU, directly and behind routers that tell nothing, by BIOS and by UEFI. README.md. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, statSync, symlinkSync, truncateSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { startRoad } from '../bench/boot/start.ts';
import { startMachine } from '../e2e/machine/machine.ts';
import { BRIDGE, openWay } from './way.ts';

const MTUS = [1_500, 1_450, 1_420, 1_280, 9_000] as const;
const HEADER_BYTES = 32;
const MAC = '52:54:00:00:00:01';
const UP_MS = 240_000;
/** `boot.tftp.maxBlockSize` where nobody says it. */
const MAX_BLOCK_SIZE = 1_468;

interface Cell {
  readonly mtu: number;
  readonly way: 'direct' | 'routed';
  readonly firmware: 'bios' | 'uefi';
  /** Of the size of the initrd by 4. */
  readonly remainder: number;
}

interface Seen {
  readonly upSeconds?: number;
  readonly reads: number;
  readonly tftpFragments: number;
  readonly streamFragments: number;
  readonly fault: string;
}

interface Report {
  readonly reads: number;
  readonly wrong: number;
  readonly failed: number;
}

const cells: readonly Cell[] = MTUS.flatMap((mtu) =>
  (['direct', 'routed'] as const).flatMap((way) =>
    (['bios', 'uefi'] as const).map((firmware) => ({ mtu, way, firmware })),
  ),
).map((cell, index) => ({ ...cell, remainder: (index + Math.floor(index / 4)) % 4 }));

const command = new Command('matrix')
  .description(
    'boots a machine through each MTU, way and firmware; ends with 1 when one does not come up, or TFTP leaves in fragments',
  )
  .option('--only <words>', 'cells that have all of these: 1450,routed,uefi')
  .option('--json', 'a line of JSON a cell')
  .parse();
const { only = '', json = false } = command.opts<{ only?: string; json?: boolean }>();
const words = only.split(',').filter(Boolean);
const wanted = cells.filter((cell) => words.every((word) => Object.values(cell).map(String).includes(word)));
if (wanted.length === 0)
  command.error(`no cell has all of ${only}: MTUs ${MTUS.join(' ')}, direct or routed, bios or uefi`);

const image = execFileSync(join(import.meta.dirname, '../../target/demo/make-image'), {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
}).trim();

const queue = [...wanted];
let missed = 0;
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, (_, lane) => run(`bfmtx${lane}`)));
console.error(`${wanted.length - missed} of ${wanted.length} hold`);
process.exitCode = missed > 0 ? 1 : 0;

async function run(name: string): Promise<void> {
  for (let cell = queue.shift(); cell; cell = queue.shift()) {
    const seen = await boot(name, cell).catch(
      (error: unknown): Seen => ({ reads: 0, tftpFragments: 0, streamFragments: 0, fault: String(error) }),
    );
    const holds = seen.fault === '' && seen.tftpFragments === 0;
    if (!holds) missed += 1;
    console.log(json ? JSON.stringify({ ...cell, ...seen, holds }) : row(cell, seen, holds));
  }
}

function row({ mtu, way, firmware, remainder }: Cell, seen: Seen, holds: boolean): string {
  const { upSeconds, reads, tftpFragments, streamFragments, fault } = seen;
  const up = upSeconds === undefined ? 'not up' : `up after ${upSeconds.toFixed(1)} s`;
  return [
    `${holds ? 'holds ' : 'MISSED'} ${String(mtu).padStart(5)} ${way} ${firmware} initrd % 4 = ${remainder}: ${up}, ${reads} reads right,`,
    `fragments: TFTP ${tftpFragments}, stream ${streamFragments} ${fault}`,
  ].join(' ');
}

async function boot(name: string, { mtu, way: kind, firmware, remainder }: Cell): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), `bootfarm-${name}-`));
  const way = await openWay({ name, mtu, routed: kind === 'routed' });
  try {
    for (const file of ['lab.raw', 'lab.vmlinuz', 'lab.initrd']) copyOf(join(image, file), join(folder, file));
    const initrd = join(folder, 'lab.initrd');
    const { size } = statSync(initrd);
    truncateSync(initrd, size + ((remainder - (size % 4) + 4) % 4)); // zeros behind an archive are no part of it
    const behind = kind === 'routed' ? { maxBlockSize: Math.min(MAX_BLOCK_SIZE, mtu - HEADER_BYTES) } : {};
    const road = await startRoad({ ...way.server, folder, mac: MAC, ...behind });
    const startMs = Date.now();
    const machine = await startMachine({
      ...{ name, namespace: way.namespace, bridge: BRIDGE, mac: MAC, stateDirectory: join(folder, 'machine') },
      ...{ firmware, mtu: way.machineMtu },
    });
    try {
      await machine.waitFor(/bootfarm: up /, UP_MS);
      const upSeconds = (Date.now() - startMs) / 1_000;
      const { reads, wrong, failed } = await machine.ask<Report>('read 50 4');
      const fault = wrong + failed > 0 ? `${wrong} reads wrong, ${failed} failed` : '';
      return { upSeconds, reads, tftpFragments: way.fragments.tftp, streamFragments: way.fragments.stream, fault };
    } finally {
      await machine.kill();
      await road.end();
    }
  } finally {
    await way.close();
    rmSync(folder, { recursive: true });
  }
}

/** The initrd is changed; the others are as large as they are. */
function copyOf(from: string, to: string): void {
  if (from.endsWith('initrd')) copyFileSync(from, to);
  else symlinkSync(from, to);
}
