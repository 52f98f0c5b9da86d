/** Words that work on files, run where those lie: in the container `work` of a server, as `kubectl exec` runs them, by the caller's own right to. */
import type { Command } from 'commander';
import { type Desk, withFarm } from '../desk.ts';
import { atServer, inServer, type On } from '../server.ts';
import { addDownload } from './download.ts';
import { addUpload } from './upload.ts';

interface Passed {
  /** As the server's own help has them. */
  readonly takes: string;
  readonly is: string;
  /** Options of it that the program has, too, and means otherwise. */
  readonly own?: readonly string[];
}

/** What a server's `bootfarm vdisk` is asked as it was typed. */
export const PASSED: Readonly<Record<string, Passed>> = {
  info: { takes: '<file...>', is: 'what an image says of itself' },
  check: { takes: '<file...>', is: 'whether images are whole' },
  map: { takes: '<file...>', is: 'where the bytes of a disk lie' },
  convert: { takes: '<source> <target>', is: 'an image as another one' },
  'new-version': { takes: '<name>', is: 'a difference of the newest version' },
  merge: { takes: '<name>', is: 'a chain as one image' },
  import: { takes: '<source> <target>', is: 'an image of qcow2, VMDK, VDI' },
  fetch: { takes: '<target> <url>', is: 'a file from a web server' },
  'boot-files': { takes: '<name>', is: 'kernel and initrd out of an image' },
  takeover: {
    takes: '<folder-or-name>',
    is: 'a vDisk as PVS left it, as a VDisk',
    own: ['farm', 'namespace'],
  },
  export: { takes: '<name>', is: 'a folder, or an archive, for PVS' },
  follow: { takes: '<id>', is: 'a job to its end' },
  cancel: { takes: '[id]', is: 'end a job' },
  'delete-version': { takes: '<name> <number>', is: 'remove the files of a version' },
};

const passed = (word: Command): Passed | undefined =>
  word.parent?.name() === 'vdisk' ? PASSED[word.name()] : undefined;

/** Options of the program's that are the server's behind this word. */
export const ownOf = (word: Command): readonly string[] => passed(word)?.own ?? [];

export function addWork(desk: Desk, vdisk: Command): void {
  for (const [word, { takes, is }] of Object.entries(PASSED))
    atServer(vdisk.command(word))
      .description(`${is}; \`bootfarm vdisk ${word} --on SERVER --help\` has the rest`)
      .argument('[words...]')
      .helpOption(false)
      .allowUnknownOption()
      .action((words: readonly string[], { on }: On, self: Command) => {
        if (on === undefined && asksHelp(words)) return desk.terminal.out(helpText(word, takes, is));
        return withFarm(desk, self, (farm) =>
          inServer(desk, self, farm, on, async (run) => {
            const input = readsInput(words) ? desk.input.bytes() : undefined;
            const status = await run([word, ...words], { input });
            if (status !== 0) desk.terminal.fail(status);
          }),
        );
      });
  addUpload(desk, vdisk);
  addDownload(desk, vdisk);
}

const asksHelp = (words: readonly string[]): boolean => words.includes('--help') || words.includes('-h');

/** What can be said without a server. */
const helpText = (word: string, takes: string, is: string): string =>
  `Usage: bootfarm vdisk ${word} [options] ${takes} --on SERVER

${is}. It runs in the server, on the files that lie there.

  --on <server>  which; may be left out where the farm has one

Its other options are the server's: \`bootfarm vdisk ${word} --on SERVER --help\` asks it for them, which needs the cluster.
`;

/** Who reads it where nobody asked for it takes it from whoever comes behind, as in a loop of a shell. */
const readsInput = (words: readonly string[]): boolean =>
  words.some((word, at) => word === '--resource=-' || (word === '-' && words[at - 1] === '--resource'));
