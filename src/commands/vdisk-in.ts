/**
 * `bootfarm vdisk upload|fetch|import`: a disk from elsewhere, into the folder of a store. An upload is done here, since its input is the person's; where there is a
 * keeper of jobs, it is seen among them.
 */
import { extname, resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { importLine } from '../image/shell.ts';
import { ok } from '../kit/result.ts';
import { inUnits } from '../kit/units.ts';
import { type Arrived, isForeignName } from '../store/arrived.ts';
import { targetOf, targetOfUrl } from '../store/convert.ts';
import { uploadedBytes, uploadFile } from '../store/upload.ts';
import { attempt, must, Refusal } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Outcome } from '../work/run.ts';
import { type InsteadFlags, instead, tellingOf } from './instead.ts';
import { fileAt } from './vdisk-at.ts';
import { doHere, doOrder, type Flags, type OrderFlags, orderOptions, output } from './work.ts';

interface UploadFlags extends Flags, InsteadFlags {
  readonly size?: number;
  readonly sha256?: string;
  readonly offset: number;
  readonly tellOffset?: true;
}

interface FetchFlags extends OrderFlags, InsteadFlags {
  readonly size?: number;
  readonly sha256: string;
}

export function addBringing(command: Command, terminal: Terminal, input: Readable = process.stdin): void {
  command
    .command('upload')
    .description('a file from standard input: whole and right, or not there')
    .argument('<target>', 'its path in the folder of the store')
    .option('--size <bytes>', 'required: how large it is', parseBytes)
    .option('--sha256 <digest>', 'required: what `sha256sum` says of it', parseDigest)
    .option('--offset <bytes>', 'where the input begins, when it goes on with one that broke off', parseBytes, 0)
    .option('--tell-offset', 'print where to go on, and do nothing')
    .addOption(instead())
    .addOption(output())
    .addHelpText(
      'after',
      `
Example, from anywhere:
  exec='kubectl exec -i deploy/main-node-a -c work -- bootfarm vdisk upload /srv/vdisks/lab.vhdx'
  $exec --size $(stat -c %s lab.vhdx) --sha256 $(sha256sum lab.vhdx | cut -d' ' -f1) <lab.vhdx
When it broke off:
  at=$($exec --tell-offset); tail -c +$((at + 1)) lab.vhdx | $exec --offset $at --size … --sha256 …`,
    )
    .action((target: string, { size, sha256, offset, tellOffset, ...flags }: UploadFlags) =>
      attempt(terminal, async () => {
        const path = await fileAt(target);
        if (tellOffset) return terminal.out(`${await uploadedBytes(path)}\n`);
        if (size === undefined || sha256 === undefined) return command.error('error: give both --size and --sha256');
        const tell = await tellingOf(path, flags);
        await doHere(terminal, flags, { kind: 'upload', target: path }, async ({ onProgress, signal }) => {
          // Who interrupts it does not wait for an input that says nothing.
          addAbortSignal(signal, input);
          const made = await uploadFile(path, input, { sizeBytes: size, sha256, offset, onProgress });
          if (!made.ok) return made;
          const words = [`${path} is there, ${inUnits(made.value.sizeBytes)}`];
          return ok(tell(tellArrived(terminal, { made: made.value, words })));
        });
      }),
    );
  orderOptions(command.command('fetch'))
    .description('a file from a web server: whole and right, or not there; what was interrupted is gone on with')
    .argument('<target>', 'its path in the folder of the store; without an end it gets that of the address')
    .argument('<url>', 'http or https')
    .requiredOption('--sha256 <digest>', 'required: what `sha256sum` says of it', parseDigest)
    .option('--size <bytes>', 'how large it is (default: as the server says)', parseBytes)
    .addOption(instead())
    .addHelpText(
      'after',
      '\nExample:\n  bootfarm vdisk fetch /srv/vdisks/lab https://images.example/lab.vhdx --sha256 …\n\nA .qcow2, .vmdk or .vdi is fetched as it is, for vdisk import.',
    )
    .action((target: string, url: string, { size, sha256, ...flags }: FetchFlags) =>
      doOrder(terminal, flags, async () => {
        const path = fetchedAs(target, await fileAt(target), url);
        const order = {
          ...{ kind: 'fetch' as const, url, sha256, target: path },
          ...(size !== undefined && { sizeBytes: size }),
        };
        const tell = await tellingOf(path, flags);
        return { order, tell: (outcome) => tell(tellArrived(terminal, outcome)) };
      }),
    );
  orderOptions(command.command('import'))
    .description('make an image of one of another program: qcow2, VMDK (monolithicSparse, streamOptimized), VDI')
    .argument('<source>', 'one file, with none beside it')
    .argument('<target>', 'the image that is made; its end says its format (default: .vhdx)')
    .addOption(instead())
    .addHelpText(
      'after',
      '\nExample:\n  bootfarm vdisk import /srv/vdisks/debian.qcow2 /srv/vdisks/lab.vhdx\n\nA VMDK of two files (a small disk.vmdk, and disk-flat.vmdk) has a raw image in the second: name that one lab.raw, and convert it.',
    )
    .action((source: string, target: string, flags: OrderFlags & InsteadFlags) =>
      doOrder(terminal, flags, async () => {
        const path = must(targetOf(await fileAt(target), undefined));
        return { order: { kind: 'import', source: resolve(source), target: path }, tell: await tellingOf(path, flags) };
      }),
    );
}

/** What came of a job may be of another release. */
function tellArrived(terminal: Terminal, outcome: Outcome): Outcome {
  const { path = '', kept, doubt } = (outcome.made ?? {}) as Partial<Arrived>;
  if (doubt !== undefined) terminal.err(`warning: ${doubt}\n`);
  const next =
    isForeignName(path) && doubt === undefined
      ? [`make an image of it: ${importLine(path, extname(path).slice(1))}`]
      : [];
  return { ...outcome, words: [...(kept ? [`${path} is there already, the same`] : outcome.words), ...next] };
}

/** Its end says its format. */
function fetchedAs(target: string, file: string, url: string): string {
  const path = targetOfUrl(file, url);
  if (path !== undefined) return path;
  throw new Refusal(
    `neither ${target} nor the address ends as an image does: end it with .vhdx, .vhd or .raw, or, to import it, with .qcow2, .vmdk or .vdi`,
  );
}

export function parseBytes(text: string): number {
  const bytes = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError('it must be a number of bytes.');
}

function parseDigest(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('it must be 64 hex digits.');
}
