/** `bootfarm vdisk upload` at a desk: a file of this machine into the folder of a store, through the container of a server. */
import type { Command } from 'commander';
import { type Desk, withJudged } from '../desk.ts';
import { bytesOf, type Digest, digestOf, sizeToSend } from '../local.ts';
import { textOrJson } from '../output.ts';
import { atServer, inServer, type On, textTo } from '../server.ts';
import { again, alive, ended, type RunIn, shown } from '../transfer.ts';

interface UploadFlags extends On {
  readonly output: 'text' | 'json';
  readonly instead?: true;
}

export function addUpload(desk: Desk, vdisk: Command): void {
  atServer(vdisk.command('upload'))
    .description('a file of this machine into the folder of a store: whole and right, or not there')
    .argument('<file>', 'of this machine')
    .argument('<target>', 'its path on the server: /srv/vdisks/lab.vhdx')
    .option('--instead', 'also where servers take it instead of an image there whose name has another end')
    .addOption(textOrJson())
    .addHelpText(
      'after',
      '\nIt goes on by itself where it breaks off, and when it is given again.\n\nExample:\n  bootfarm vdisk upload lab.vhdx /srv/vdisks/lab.vhdx --on node-a',
    )
    .action((file: string, target: string, { on, output, instead }: UploadFlags, self: Command) =>
      withJudged(
        desk,
        self,
        () => sizeToSend(file),
        (farm) =>
          inServer(desk, self, farm, on, (run) =>
            upload(desk, run, file, ['upload', target, ...(instead ? ['--instead'] : [])], output),
          ),
      ),
    );
}

/** The file is read for its digest when the server has said that it takes it. */
export async function upload(
  desk: Desk,
  run: RunIn,
  file: string,
  words: readonly string[],
  output: UploadFlags['output'],
): Promise<void> {
  let digest: Digest | undefined;
  const status = await again(
    desk,
    () => toldOffset(run, words),
    async (at) => {
      digest ??= await digestHere(desk, file);
      return send(desk, run, file, [...words, '-o', output], digest, at);
    },
  );
  ended(status);
}

/** How much of it the server has. */
async function toldOffset(run: RunIn, words: readonly string[]): Promise<number> {
  const told: Buffer[] = [];
  ended(alive(await run([...words, '--tell-offset'], { out: (bytes) => void told.push(bytes) })));
  return Number(Buffer.concat(told).toString('utf8').trim());
}

async function digestHere(desk: Desk, file: string): Promise<Digest> {
  const { progress } = shown(desk.terminal, `${file} is read for its SHA-256: `);
  try {
    return await digestOf(file, progress.tell);
  } finally {
    progress.end();
  }
}

async function send(
  desk: Desk,
  run: RunIn,
  file: string,
  words: readonly string[],
  { sizeBytes, sha256 }: Digest,
  at: number,
): Promise<number> {
  const { progress, aside } = shown(desk.terminal, `${file}: `);
  async function* input(): AsyncGenerator<Buffer> {
    let done = at;
    progress.tell(done, sizeBytes);
    for await (const bytes of bytesOf(file, at, sizeBytes)) {
      yield bytes;
      done += bytes.length;
      progress.tell(done, sizeBytes);
    }
  }
  const asked = [...words, '--size', String(sizeBytes), '--sha256', sha256, '--offset', String(at)];
  try {
    return await run(asked, { input: input(), err: textTo(aside.err) });
  } finally {
    progress.end();
  }
}
