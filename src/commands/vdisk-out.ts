/** `bootfarm vdisk download`: a version of a vDisk to standard output. Thin over `store/download.ts`. */
import type { Writable } from 'node:stream';
import { type Command, Option } from 'commander';
import { given } from '../kit/given.ts';
import { ok } from '../kit/result.ts';
import { DOWNLOADS, type Download, download } from '../store/download.ts';
import type { ExportOptions } from '../store/pvs/export.ts';
import { exportTar } from '../store/pvs/export-tar.ts';
import { attempt, Refusal, versionNumber } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { assumedWords } from '../work/run.ts';
import { vdiskAt } from './vdisk-at.ts';
import { parseBytes } from './vdisk-in.ts';
import { doHere, type Flags, output as said } from './work.ts';

interface DownloadFlags extends Flags {
  readonly version?: string;
  readonly format: Download['format'];
  readonly offset: number;
}

export type Output = Pick<Writable, 'write' | 'on'> & { readonly isTTY?: boolean };

export function addDownload(command: Command, terminal: Terminal, output: Output = process.stdout): void {
  command
    .command('download')
    .description('an image to standard output; its size and SHA-256 are said on standard error at the end')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .argument('[target]', '-: standard output', '-')
    .option('--version <number>', 'which (default: the newest)')
    .addOption(
      new Option(
        '--format <format>',
        'raw: the disk that it shows; asis: its file; vhd, vhdx: an image of the disk, made beside it where its file is none; qcow2, vmdk, vdi: the same by qemu-img',
      )
        .choices([...DOWNLOADS])
        .default('raw'),
    )
    .option('--offset <bytes>', 'how many came before it broke off', parseBytes, 0)
    .addOption(said())
    .addHelpText(
      'after',
      `
Example, from anywhere:
  exec='kubectl exec deploy/main-node-a -c work -- bootfarm vdisk download /srv/vdisks/lab'
  $exec --version 3 >lab.raw
When it broke off:
  $exec --version 3 --offset $(stat -c %s lab.raw) >>lab.raw
What is made beside it is whole before its first byte goes out, and goes when all of it did: the store needs room for the data of
the disk, for qcow2, vmdk and vdi twice, unless the version is one raw image.`,
    )
    .action((name: string, target: string, flags: DownloadFlags) =>
      attempt(terminal, async () => {
        judgeTarget(target, output);
        const { version, format, offset, output: how } = flags;
        const number = version === undefined ? undefined : versionNumber('version', version);
        const vdisk = await vdiskAt(name);
        await doHere(besideOutput(terminal), { output: how }, undefined, async (running) => {
          const options = { ...running, format, offset, ...(number !== undefined && { number }) };
          const made = await download(vdisk, options, giveTo(output));
          if (!made.ok) return made;
          const { name, sizeBytes, sha256, sectorBytes } = made.value;
          const words = [
            `${name}: ${sizeBytes} bytes, SHA-256 ${sha256}`,
            ...(sectorBytes === undefined
              ? []
              : [
                  `its sectors have ${sectorBytes} bytes, which no raw image says: tell it who attaches it (qemu: logical_block_size=${sectorBytes}), or take --format vhdx`,
                ]),
          ];
          return ok({ made: made.value, words });
        });
      }),
    );
}

interface TarOut extends Pick<ExportOptions, 'numbers' | 'stated'> {
  /** As a person typed it. */
  readonly target: string;
  readonly offset: number;
}

/** `bootfarm vdisk export --tar -`. */
export async function exportTarOut(
  terminal: Terminal,
  name: string,
  { target, ...options }: TarOut,
  output: Output,
): Promise<void> {
  judgeTarget(target, output);
  const vdisk = await vdiskAt(name);
  await doHere(besideOutput(terminal), { output: 'text' }, undefined, async (running) => {
    const made = await exportTar(vdisk, { ...running, ...options }, giveTo(output));
    if (!made.ok) return made;
    const { names, versions, assumed, sizeBytes, sha256 } = made.value;
    const words = [
      `${names.length} files of versions ${versions.join(', ')}: ${sizeBytes} bytes, SHA-256 ${sha256}`,
      ...assumedWords(assumed),
    ];
    return ok({ made: made.value, words });
  });
}

function judgeTarget(target: string, { isTTY }: Output): void {
  if (target !== '-') throw new Refusal(`${target}: it goes to standard output alone: write - and >${target}`);
  if (isTTY) throw new Refusal('what comes is no text for a terminal: write >FILE behind it, or | and a command');
}

/** What it says must not go where the bytes go. */
const besideOutput = (terminal: Terminal): Terminal => ({
  ...terminal,
  isWatched: terminal.isWatched,
  out: terminal.err,
});

/** Each is written when the one before it was taken. */
function giveTo(output: Output): (bytes: Buffer) => Promise<void> {
  output.on('error', () => undefined); // told to who writes
  return (bytes) => given(output, bytes);
}
