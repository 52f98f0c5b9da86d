/** `bootfarm vdisk download` at a desk: a version of a vDisk as a file of this machine, through the container of a server. */
import { type Command, Option } from 'commander';
import { inUnits } from '../../kit/units.ts';
import { type Progress, progressOn } from '../../terminal/progress.ts';
import { Refusal, versionNumber } from '../../terminal/refusal.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { type Desk, withJudged } from '../desk.ts';
import { type Digest, fileToMake, streamToFill, type Target } from '../local.ts';
import { doneText, textOrJson } from '../output.ts';
import { atServer, inServer, type On } from '../server.ts';
import { again, ended, hear, type RunIn, shown } from '../transfer.ts';

/** As the word of a server has them. */
const FORMATS = ['asis', 'raw', 'vhd', 'vhdx', 'qcow2', 'vmdk', 'vdi'] as const;

interface DownloadFlags extends On {
  readonly version?: string;
  readonly format: (typeof FORMATS)[number];
  readonly output: 'text' | 'json';
}

export function addDownload(desk: Desk, vdisk: Command): void {
  atServer(vdisk.command('download'))
    .description('a version of a vDisk into a file of this machine')
    .argument('<name>', 'on the server, its folder and its fileName: /srv/vdisks/lab')
    .argument('<file>', 'of this machine, which is not there yet; -: standard output')
    .option('--version <number>', 'which (default: the newest)')
    .addOption(
      new Option('--format <format>', 'raw: the disk that it shows; asis: its file; others: an image of the disk')
        .choices([...FORMATS])
        .default('raw'),
    )
    .addOption(textOrJson())
    .addHelpText(
      'after',
      `
It goes on by itself where it breaks off, and when it is given again: what came lies in <file>.partial until all of it did, and its
size and SHA-256 are those that the server says.

Example:
  bootfarm vdisk download /srv/vdisks/lab lab.raw --version 1 --on node-a`,
    )
    .action((name: string, file: string, flags: DownloadFlags, self: Command) =>
      withJudged(
        desk,
        self,
        () => judged(desk, name, file, flags),
        (farm, { target, words }) =>
          inServer(desk, self, farm, flags.on, async (run) => {
            const digest = await download(desk, run, words, target);
            tell(desk.terminal, file, digest, flags.output);
          }),
      ),
    );
}

async function judged(desk: Desk, name: string, file: string, { version, format }: DownloadFlags) {
  const number = version === undefined ? [] : ['--version', String(versionNumber('--version', version))];
  const words = ['download', name, ...number, '--format', format];
  if (file !== '-') return { words, target: await fileToMake(file) };
  if (desk.terminal.columns !== undefined)
    throw new Refusal('what comes is no text for a terminal: name a file, or write >FILE or | and a command behind it');
  return { words, target: streamToFill('standard output', desk.give) };
}

function tell(terminal: Terminal, file: string, { sizeBytes, sha256 }: Digest, output: DownloadFlags['output']): void {
  const name = file === '-' ? 'standard output' : file;
  const said = `${name}: ${inUnits(sizeBytes)}, SHA-256 ${sha256}, as the server has it\n`;
  const text = doneText(output, said, { file, sizeBytes, sha256 });
  if (file === '-') terminal.err(text);
  else terminal.out(text);
}

/** Until it is whole and right. What came cannot be gone on with where the server has no more what it is of, or has something else by now: all is taken anew, once. */
export async function download(desk: Desk, run: RunIn, words: readonly string[], target: Target): Promise<Digest> {
  const { progress, aside } = shown(desk.terminal, `${target.name}: `);
  const comparing = progressOn(desk.terminal, `${target.name} is read for its SHA-256: `);
  try {
    const totalBytes = await totalOf(desk, run, words, aside);
    for (let isAnew = false; ; isAnew = true) {
      const taking = new Taking({ run, words, target, totalBytes, progress, comparing, aside });
      const status = await again(
        { ...desk, terminal: aside },
        () => target.at(),
        (at) => taking.from(at),
      );
      if (status !== 0 && !taking.isOffsetWrong) ended(status);
      const digest = taking.isOffsetWrong ? undefined : await taking.proved();
      if (digest) {
        await target.finish();
        return digest;
      }
      const isGone = await target.forget();
      if (isAnew || !isGone || !taking.wentOn)
        throw new Refusal(
          `${target.name}: what came is not what the server has${isGone ? ', and nothing of it is kept: give the same again' : ': throw away what came, and give the same again'}`,
        );
      aside.err(`${target.name}: what came before is not of what the server has now: all of it is taken anew\n`);
    }
  } finally {
    progress.end();
    comparing.end();
    await target.close();
  }
}

/** No image has so many bytes: asked for from there on, the server says how many it has. */
const BEHIND_ALL = Number.MAX_SAFE_INTEGER;

/** Undefined: an image is made first. What the server refuses it refuses here, before anything is written. */
async function totalOf(desk: Desk, run: RunIn, words: readonly string[], aside: Terminal): Promise<number | undefined> {
  let heard = hear(aside.err);
  const status = await again(
    desk,
    async () => 0,
    async () => {
      heard = hear(aside.err);
      return run([...words, '--offset', String(BEHIND_ALL)], { err: heard.take }).finally(heard.end);
    },
  );
  if (!heard.isOffsetWrong) ended(status);
  return heard.sizeBytes;
}

interface TakingOf {
  readonly run: RunIn;
  readonly words: readonly string[];
  readonly target: Target;
  readonly totalBytes: number | undefined;
  readonly progress: Progress;
  /** Of what came, at its end. */
  readonly comparing: Progress;
  readonly aside: Terminal;
}

/** All tries from one beginning. */
class Taking {
  /** It did not begin with the first byte. */
  wentOn = false;
  isOffsetWrong = false;
  readonly #of: TakingOf;
  /** As the server told it, in whichever try. */
  #told: Digest | undefined;
  #proved: Digest | undefined;

  constructor(of: TakingOf) {
    this.#of = of;
  }

  /** The status of the server. */
  async from(at: number): Promise<number> {
    // The connection broke behind the last byte: there is nothing to ask for.
    if (this.#told?.sizeBytes === at && (await this.proved())) return 0;
    const { run, words, target, totalBytes, progress, aside } = this.#of;
    this.wentOn ||= at > 0;
    const heard = hear(aside.err);
    let done = at;
    progress.tell(done, totalBytes);
    const out = async (bytes: Buffer): Promise<void> => {
      await target.put(bytes);
      done += bytes.length;
      progress.tell(done, totalBytes);
    };
    try {
      return await run([...words, '--offset', String(at)], { out, err: heard.take });
    } finally {
      heard.end();
      this.#told = heard.digest ?? this.#told;
      this.isOffsetWrong = heard.isOffsetWrong;
    }
  }

  /** Undefined: what lies here is not what the server has. */
  async proved(): Promise<Digest | undefined> {
    const { target, progress, comparing } = this.#of;
    if (this.#proved) return this.#proved;
    progress.end();
    if (!this.#told) throw new Refusal(`${target.name}: the server did not say its SHA-256: give the same again`);
    const { sizeBytes, sha256 } = await target.digest(comparing.tell);
    comparing.end();
    if (sizeBytes === this.#told.sizeBytes && sha256 === this.#told.sha256) this.#proved = this.#told;
    return this.#proved;
  }
}
