/**
 * Words that work on files, run where those lie: in the container `work` of a server, as `kubectl exec` runs them, by the caller's own right to. Disks go to a server and come from one by
 * the same way, and go on where it broke off.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { errorMessage } from '../../kit/errors.ts';
import { given } from '../../kit/given.ts';
import { inUnits } from '../../kit/units.ts';
import { Refusal } from '../../terminal/refusal.ts';
import type { ServerAnswer } from '../answers.ts';
import { type Desk, programOf, withFarm } from '../desk.ts';
import type { Streams } from '../exec.ts';
import { EXIT } from '../exit.ts';
import type { DeskFarm } from '../farm.ts';
import { type PlaceOptions, placeOf } from '../place.ts';

/** What a server's `bootfarm vdisk` is asked as it was typed. */
const PASSED: Readonly<Record<string, string>> = {
  ...{ info: 'what an image says of itself', check: 'whether images are whole', map: 'where the bytes of a disk lie' },
  ...{ convert: 'an image as another one', 'new-version': 'a difference of the newest version' },
  ...{ merge: 'a chain as one image', import: 'an image of qcow2, VMDK, VDI', fetch: 'a file from a web server' },
  ...{ 'boot-files': 'kernel and initrd out of an image', takeover: 'a vDisk as PVS left it, as a VDisk' },
  ...{ export: 'a folder, or an archive, for PVS', follow: 'a job to its end', cancel: 'end a job' },
  ...{ 'delete-version': 'remove the files of a version' },
};

/** Options behind such a word are the server's, but for these. */
export const isPassed = (word: Command): boolean => word.parent?.name() === 'vdisk' && word.name() in PASSED;

/** Runs a command in the container of a server. */
type RunIn = (words: readonly string[], streams?: Partial<Streams>) => Promise<number>;

export function addWork(desk: Desk, vdisk: Command): void {
  for (const [word, description] of Object.entries(PASSED))
    atServer(vdisk.command(word))
      .description(`${description}; \`bootfarm vdisk ${word} --on SERVER --help\` has the rest`)
      .argument('[words...]')
      .helpOption(false)
      .allowUnknownOption()
      .action((words: readonly string[], { on: server }: On, self: Command) =>
        withServer(desk, self, server, async (run) => {
          const input = readsInput(words) ? desk.input.bytes() : undefined;
          const status = await run([word, ...words], { input });
          if (status !== 0) desk.terminal.fail(status);
        }),
      );
  addUpload(desk, vdisk);
  addDownload(desk, vdisk);
}

/** Who reads it where nobody asked for it takes it from whoever comes behind, as in a loop of a shell. */
const readsInput = (words: readonly string[]): boolean =>
  words.some((word, at) => word === '--resource=-' || (word === '-' && words[at - 1] === '--resource'));

interface On {
  readonly on?: string;
}
const atServer = (command: Command): Command =>
  command.option('--on <server>', 'the server whose files are meant (default: the only one)');

function withServer(desk: Desk, command: Command, server: string | undefined, work: (run: RunIn) => Promise<void>) {
  return withFarm(desk, command, async (farm) => {
    const { name, pool } = await serverOf(farm, server);
    const place = placeOf(programOf(command).opts<PlaceOptions>());
    const { terminal } = desk;
    const told: Streams = {
      out: (bytes) => desk.give(bytes),
      err: (bytes) => terminal.err(bytes.toString('utf8')),
    };
    await work((words, streams) =>
      desk.runIn(place, { namespace: farm.namespace, pool, server: name }, ['bootfarm', 'vdisk', ...words], {
        ...told,
        ...streams,
      }),
    );
  });
}

async function serverOf(farm: DeskFarm, wanted: string | undefined): Promise<ServerAnswer> {
  const { items } = await farm.list<ServerAnswer>(['servers']);
  const found = wanted === undefined && items.length === 1 ? items[0] : items.find(({ name }) => name === wanted);
  if (found) return found;
  const names = items.map(({ name }) => name).join(', ') || 'none';
  throw new Refusal(
    wanted === undefined
      ? `say on which server by --on: the farm has ${names}`
      : `the farm has no server ${wanted}: it has ${names}`,
  );
}

/** Tries in a row of which none brought a byte further. */
const TRIES = 5;
const PAUSE_MS = 1_000;

function addUpload(desk: Desk, vdisk: Command): void {
  atServer(vdisk.command('upload'))
    .description('a file of this machine into the folder of a store: whole and right, or not there')
    .argument('<file>', 'of this machine')
    .argument('<target>', 'its path on the server: /srv/vdisks/lab.vhdx')
    .addHelpText(
      'after',
      '\nIt goes on by itself where it breaks off, and when it is given again.\n\nExample:\n  bootfarm vdisk upload lab.vhdx /srv/vdisks/lab.vhdx --on node-a',
    )
    .action((file: string, target: string, { on: server }: On, self: Command) =>
      withServer(desk, self, server, async (run) => {
        const { size, sha256 } = await digestOf(file);
        await again(
          desk,
          () => toldOffset(run, target),
          (at) => {
            const words = ['upload', target, '--size', String(size), '--sha256', sha256, '--offset', String(at)];
            return run(words, { input: at < size ? createReadStream(file, { start: at }) : undefined });
          },
        );
      }),
    );
}

async function toldOffset(run: RunIn, target: string): Promise<number> {
  let told = '';
  const out = (bytes: Buffer): void => {
    told += bytes.toString('utf8');
  };
  if ((await run(['upload', target, '--tell-offset'], { out })) !== 0) return 0;
  return Number(told.trim());
}

async function digestOf(file: string): Promise<{ readonly size: number; readonly sha256: string }> {
  try {
    const { size } = await stat(file);
    const hash = createHash('sha256');
    await pipeline(createReadStream(file), hash);
    return { size, sha256: hash.digest('hex') };
  } catch (thrown) {
    throw new Refusal(`${file} cannot be read: ${errorMessage(thrown)}`);
  }
}

function addDownload(desk: Desk, vdisk: Command): void {
  atServer(vdisk.command('download'))
    .description('a version of a vDisk into a file of this machine')
    .argument('<name>', 'on the server, its folder and its fileName: /srv/vdisks/lab')
    .argument('<file>', 'of this machine; one that is there is gone on with')
    .option('--version <number>', 'which (default: the newest)')
    .option('--format <format>', 'raw, asis, vhd, vhdx, qcow2, vmdk, vdi', 'raw')
    .addHelpText(
      'after',
      '\nIt goes on by itself where it breaks off, and when it is given again. Its SHA-256 is compared.\n\nExample:\n  bootfarm vdisk download /srv/vdisks/lab lab.raw --version 1 --on node-a',
    )
    .action((name: string, file: string, { on: server, version, format }: On & DownloadFlags, self: Command) =>
      withServer(desk, self, server, async (run) => {
        const number = version === undefined ? [] : ['--version', version];
        let said = '';
        const err = (bytes: Buffer): void => {
          said += bytes.toString('utf8');
          desk.terminal.err(bytes.toString('utf8'));
        };
        await again(
          desk,
          () => sizeOf(file),
          async (at) => {
            said = '';
            const into = createWriteStream(file, { flags: 'a' });
            const words = ['download', name, ...number, '--format', format, '--offset', String(at)];
            return run(words, { out: (bytes) => given(into, bytes), err }).finally(() => ended(into));
          },
        );
        const [, right] = /SHA-256 ([0-9a-f]{64})/.exec(said) ?? [];
        const { size, sha256 } = await digestOf(file);
        if (right !== undefined && right !== sha256)
          throw new Refusal(
            `${file} is not what the server gave: it was there before, or changed meanwhile; remove it`,
          );
        if (right !== undefined) desk.terminal.out(`${file}: ${inUnits(size)}, as the server has it\n`);
      }),
    );
}

interface DownloadFlags {
  readonly version?: string;
  readonly format: string;
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

const ended = (into: WriteStream): Promise<void> => new Promise((done) => into.end(() => done()));

/** What broke off is tried again from where it is by then; one try after the other, while they come further. */
async function again(desk: Desk, where: () => Promise<number>, run: (at: number) => Promise<number>): Promise<void> {
  let furthest = -1;
  for (let tries = 1; ; tries++) {
    try {
      const at = await where();
      if (at > furthest) tries = 1;
      furthest = at;
      const status = await run(at);
      if (status !== 0) desk.terminal.fail(status);
      return;
    } catch (thrown) {
      if (!(thrown instanceof Refusal) || thrown.status !== EXIT.noAnswer || tries === TRIES) throw thrown;
      desk.terminal.err(`${thrown.message}: it goes on\n`);
      await desk.pause(PAUSE_MS * tries);
    }
  }
}
