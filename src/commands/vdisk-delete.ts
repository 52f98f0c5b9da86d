/** `bootfarm vdisk delete-version`: removes the files of a version in this server's store. Thin over `store/deletion.ts`. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { errorMessage } from '../kit/errors.ts';
import { leadsTo } from '../kit/file.ts';
import { removeVersion } from '../store/deletion.ts';
import { readOwner } from '../store/mark.ts';
import { attempt, must, Refusal, versionNumber } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { vdiskOf } from './vdisk-at.ts';
import { type Flags, output } from './work.ts';

interface DeleteFlags extends Flags {
  readonly dryRun?: boolean;
  readonly lastCopy?: boolean;
  readonly databaseUriFile?: string;
}

export function addDeletion(command: Command, terminal: Terminal): void {
  command
    .command('delete-version')
    .description('remove the files of a version here: never one that is used, named or a parent')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .argument('<number>', 'the version')
    .option('--dry-run', 'say what would be removed, and do nothing')
    .option('--last-copy', 'it need not be anywhere any more, though no other server is known to have it right')
    .addOption(
      new Option(
        '--database-uri-file <file>',
        'file that holds the uri of the farm database (default: the follower here)',
      ).env('BOOTFARM_DATABASE_URI_FILE'),
    )
    .addOption(output())
    .addHelpText('after', '\nExample:\n  bootfarm vdisk delete-version /srv/vdisks/lab 3 --dry-run')
    .action((name: string, typed: string, { dryRun = false, lastCopy = false, output, databaseUriFile }: DeleteFlags) =>
      attempt(terminal, async () => {
        const number = versionNumber('version', typed);
        // As the farm knows the folder, whatever links lead to it.
        const { folder, fileName } = await vdiskOf(name);
        const path = join(await leadsTo(folder), fileName);
        // The clients of database and replica are loaded where they are needed alone.
        const { askFarm } = await import('./vdisk-known.ts');
        const { BOOTFARM_REPLICA_SOCKET: replicaSocket, BOOTFARM_WORK: jobs } = process.env;
        const sources = {
          ...(databaseUriFile !== undefined && { databaseUri: await uriIn(databaseUriFile) }),
          ...(replicaSocket !== undefined && { replicaSocket }),
        };
        const deletion = {
          vdisk: { folder: dirname(path), fileName: basename(path) },
          ...{ number, lastCopy, farm: await askFarm(sources) },
          owner: jobs === undefined ? undefined : await readOwner(dirname(jobs)),
        };
        const onJudged = (words: readonly string[]): void => {
          if (output === 'text')
            terminal.out(words.map((line) => `${dryRun ? 'would remove' : 'removes'} ${line}\n`).join(''));
        };
        const removed = must(await removeVersion(deletion, { dryRun, onJudged }));
        if (output === 'json') terminal.out(`${JSON.stringify({ dryRun, ...removed }, undefined, 2)}\n`);
        else if (!dryRun)
          terminal.out(
            `version ${number} of ${path} is removed here; other servers have theirs until it is removed there\n`,
          );
      }),
    );
}

async function uriIn(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (thrown) {
    throw new Refusal(`--database-uri-file ${file} cannot be read: ${errorMessage(thrown)}`);
  }
}
