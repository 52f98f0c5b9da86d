/**
 * The parts of a boot, each beside what is like it. `.kernel`: from the kernel's first moment to the shell, by its own clock, beside the same kernel,
 * initramfs and root on a local virtio disk (ours has the root by UDP, mode Authenticated). `downloadSeconds`: kernel and initramfs by iPXE, beside the
 * same iPXE and nginx. `firmwareSeconds`: from power-on until iPXE asks for its script (DHCP, TFTP), or until the BIOS hands over to a kernel that
 * QEMU puts into memory: not of this project, and in nobody's bar. `bootSeconds` is from the end of the firmware to the shell, so ours has a download in
 * it and the peer has none. All under QEMU without KVM, with one processor and 512 MiB, in turns.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Lan, openLan } from '../e2e/machine/lan.ts';
import { type MachineOptions, startMachine } from '../e2e/machine/machine.ts';
import { measureDownloads } from './boot/download.ts';
import { startRoad } from './boot/start.ts';
import { figure, median, type Run } from './figure.ts';

const ROUNDS = 3;
const BAR = { kernel: 1.2, download: 1 };
const MAC = '52:54:00:00:00:01';
const BOOT_MS = 180_000;
/** How exactly the hand-over of the BIOS is seen. */
const LOOK_MS = 10;
const COMMAND_LINE = 'console=ttyS0 quiet panic=-1';

interface Boot {
  readonly seconds: number;
  readonly firmwareSeconds: number;
  readonly kernelSeconds: number;
}

export const run: Run = async function* ({ rounds = ROUNDS } = {}) {
  const image = execFileSync(join(import.meta.dirname, '../../target/demo/make-image'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-boot-'));
  const lan = await openLan('bfboot', 1);
  try {
    const [place] = lan.places;
    if (!place) throw new Error('the LAN has one place');
    const road = await startRoad({ ...place, folder: image, mac: MAC });
    const ours: Boot[] = [];
    const local: Boot[] = [];
    let download = { ours: Number.NaN, nginx: Number.NaN };
    try {
      download = await measureDownloads({ lan, road, image, folder, mac: MAC, rounds });
      for (let round = 1; round <= rounds; round++) {
        ours.push(await boot(lan, folder, {}, () => (_, startMs) => road.since('http script', startMs)));
        local.push(
          await boot(
            lan,
            folder,
            {
              disk: join(image, 'lab.raw'),
              direct: {
                kernel: join(image, 'lab.vmlinuz'),
                initrd: join(image, 'lab.initrd'),
                commandLine: `${COMMAND_LINE} root=/dev/vda rw`,
              },
            },
            handOver,
          ),
        );
        console.error(`round ${round}: ours ${JSON.stringify(ours.at(-1))}, local ${JSON.stringify(local.at(-1))}`);
      }
    } finally {
      await road.end();
    }
    const of = (boots: readonly Boot[], part: keyof Boot): number => median(boots.map((one) => one[part]));
    const peer = (part: keyof Boot) => ({ name: 'local virtio disk', value: of(local, part) });
    const base = { bench: 'boot', unit: 's' };
    const kernel = { ...base, figure: 'bootSeconds.kernel', value: of(ours, 'kernelSeconds') };
    yield figure(kernel, peer('kernelSeconds'), BAR.kernel);
    const fetched = { ...base, figure: 'downloadSeconds', value: download.ours };
    yield figure(fetched, { name: 'nginx', value: download.nginx }, BAR.download);
    yield figure({ ...base, figure: 'bootSeconds', value: of(ours, 'seconds') }, peer('seconds'));
    yield figure({ ...base, figure: 'firmwareSeconds', value: of(ours, 'firmwareSeconds') }, peer('firmwareSeconds'));
  } finally {
    await lan.close();
    rmSync(folder, { recursive: true });
  }
};

/** When the BIOS said that it hands over, looked for from the power-on. */
function handOver() {
  let seenAt: number | undefined;
  return (folder: string): number | undefined => {
    if (seenAt === undefined && /^Booting from/m.test(readFileSync(join(folder, 'bios.log'), 'latin1')))
      seenAt = Date.now();
    return seenAt;
  };
}

/** Switches a machine on and off again. */
async function boot(
  lan: Lan,
  folder: string,
  more: Partial<MachineOptions>,
  begun: () => (folder: string, startMs: number) => number | undefined,
): Promise<Boot> {
  const stateDirectory = mkdtempSync(join(folder, 'machine-'));
  const startMs = Date.now();
  const { namespace, bridge } = lan;
  const machine = await startMachine({ name: 'boot', namespace, bridge, mac: MAC, stateDirectory, ...more });
  try {
    const up = machine
      .waitFor(/bootfarm: up \S+ after ([\d.]+) s/, BOOT_MS)
      .then((found) => ({ found, at: Date.now() }));
    const look = begun();
    let over = false;
    const watch = (async () => {
      while (!over && look(stateDirectory, startMs) === undefined) await delay(LOOK_MS);
      return look(stateDirectory, startMs);
    })();
    const { found, at } = await up.finally(() => {
      over = true;
    });
    const beganMs = await watch;
    if (beganMs === undefined) throw new Error('the machine is up, and its beginning was not seen');
    return {
      seconds: (at - beganMs) / 1_000,
      firmwareSeconds: (beganMs - startMs) / 1_000,
      kernelSeconds: Number(found[1]),
    };
  } finally {
    await machine.kill();
  }
}
