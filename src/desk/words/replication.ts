/** `bootfarm replication` at a desk: where each version lies and what each copy is worth, by the API. */
import { Command } from 'commander';
import { stringify } from 'yaml';
import { NOT_RIGHT, replicationLook, versionCopies } from '../../terminal/replication-view.ts';
import { watched } from '../../terminal/watch.ts';
import type { CopyAnswer, Stale, VDiskAnswer } from '../answers.ts';
import { type Desk, withFarm } from '../desk.ts';
import type { DeskFarm } from '../farm.ts';
import { outputOption, watchOption } from '../output.ts';

interface Options {
  readonly output: 'table' | 'wide' | 'json' | 'yaml';
  readonly watch?: true;
  readonly exitCode?: true;
}

export function replicationCommand(desk: Desk): Command {
  const command = new Command('replication')
    .description('where each version of each vDisk lies, and what each copy is worth')
    .argument('[vdisk]', 'of this vDisk alone')
    .addOption(watchOption())
    .option('--exit-code', `end with ${NOT_RIGHT} if a copy is not UpToDate`)
    .addOption(outputOption(['table', 'wide', 'json', 'yaml']))
    .addHelpText(
      'after',
      `
States: UpToDate, Copying (percent, time left), Missing, OutOfDate, PropertiesMissing, PropertiesOutOfDate, Corrupt, Conflict,
ServerUnreachable; -: that server offers no store of it.

Examples:
  bootfarm replication -w
  bootfarm replication lab -o wide
  bootfarm replication --exit-code >/dev/null || echo "not every copy is right"`,
    );
  return command.action((vdisk: string | undefined, options: Options, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const { terminal } = desk;
      const { output, watch = false } = options;
      const look = async () => {
        const { versions, copies, stale } = await read(farm, vdisk);
        const asOf = stale ? Date.parse(stale.since) : undefined;
        const shown = versionCopies({ versions }, copies, vdisk);
        const how = { output: output === 'yaml' ? 'json' : output, watch } as const;
        const looked = replicationLook(shown, how, desk.now(), asOf, terminal.columns);
        if (output !== 'yaml') return looked;
        return { ...looked, text: `${watch ? '---\n' : ''}${stringify(JSON.parse(looked.text), { lineWidth: 0 })}` };
      };
      const { isRight } = await watched(terminal, look, { isWatched: watch, everyMs: desk.watchMs, left: desk.left });
      if (options.exitCode && !isRight) terminal.fail(NOT_RIGHT);
    }),
  );
}

interface Read {
  readonly versions: readonly { readonly vdisk: string; readonly number: number }[];
  readonly copies: readonly CopyAnswer[];
  readonly stale: Stale | undefined;
}

async function read(farm: DeskFarm, only: string | undefined): Promise<Read> {
  const vdisks =
    only === undefined
      ? (await farm.list<VDiskAnswer>(['vdisks'])).items
      : [(await farm.get<VDiskAnswer>('vdisks', only)).value];
  const copies: CopyAnswer[] = [];
  let stale: Stale | undefined;
  for (const { name } of vdisks) {
    const listed = await farm.list<CopyAnswer>(['vdisks', name, 'copies']);
    copies.push(...listed.items);
    stale ??= listed.stale;
  }
  const versions = vdisks.flatMap(({ name, versions: all }) => all.map(({ number }) => ({ vdisk: name, number })));
  return { versions, copies, stale };
}
