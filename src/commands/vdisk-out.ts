/** `bootfarm vdisk download`: a version of a vDisk to standard output. Thin over `store/download.ts`. */
import type { Writable } from 'node:stream';
import { type Command, Option } from 'commander';
import { ok } from '../kit/result.ts';
import { DOWNLOADS, type Download, download } from '../store/download.ts';
import { attempt, Refusal, versionNumber } from './refusal.ts';
import type { Terminal } from './terminal.ts';
import { vdiskAt } from './vdisk-at.ts';
import { parseBytes } from './vdisk-in.ts';
import { doHere } from './work.ts';

interface DownloadFlags {
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
        'raw: the disk that it shows; asis: its file; vhd, vhdx: an image of the disk, made beside it where its file is none',
      )
        .choices([...DOWNLOADS])
        .default('raw'),
    )
    .option('--offset <bytes>', 'how many came before it broke off', parseBytes, 0)
    .addHelpText(
      'after',
      `
Example, from anywhere:
  exec='kubectl exec deploy/main-node-a -c work -- bootfarm vdisk download /srv/vdisks/lab'
  $exec --version 3 >lab.raw
When it broke off:
  $exec --version 3 --offset $(stat -c %s lab.raw) >>lab.raw`,
    )
    .action((name: string, target: string, flags: DownloadFlags) =>
      attempt(terminal, async () => {
        if (target !== '-') throw new Refusal(`${target}: it goes to standard output alone: write - and >${target}`);
        if (output.isTTY)
          throw new Refusal('an image is no text for a terminal: write >FILE behind it, or | and a command');
        const { version, format, offset } = flags;
        const number = version === undefined ? undefined : versionNumber('version', version);
        const vdisk = await vdiskAt(name);
        // What it says must not go where the image goes.
        const told = { ...terminal, isWatched: terminal.isWatched, out: terminal.err };
        await doHere(told, { output: 'text' }, undefined, async (running) => {
          const options = { ...running, format, offset, ...(number !== undefined && { number }) };
          const made = await download(vdisk, options, giveTo(output));
          if (!made.ok) return made;
          const { name, sizeBytes, sha256 } = made.value;
          return ok({ made: made.value, words: [`${name}: ${sizeBytes} bytes, SHA-256 ${sha256}`] });
        });
      }),
    );
}

/** Each is written when the one before it was taken. */
function giveTo(output: Output): (bytes: Buffer) => Promise<void> {
  output.on('error', () => undefined); // told to who writes
  return (bytes) =>
    new Promise((done, failed) => {
      output.write(bytes, (error) => (error ? failed(error) : done()));
    });
}
