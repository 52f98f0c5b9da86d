/** `bootfarm vdisk promote|revert|accept` and `rollback` at a desk: by the API, in the words of the same commands in a pod. */
import { Command } from 'commander';
import type { RollbackStep } from '../../farm/rollback.ts';
import { Refusal, versionNumber } from '../../terminal/refusal.ts';
import {
  acceptedText,
  acceptWord,
  type EditFlags,
  editText,
  type PromoteFlags,
  promoteWord,
  releasedOf,
  revertWord,
} from '../../terminal/release-words.ts';
import {
  clearedText,
  endText,
  NONE_ROLLED_BACK,
  type RollbackFlags,
  rollbackWord,
  stepText,
  timeText,
  type Wish,
  wishOf,
} from '../../terminal/rollback-words.ts';
import type { AcceptAnswer, EditAnswer, RollbackAnswer } from '../answers.ts';
import { type Desk, staleNote, withJudged } from '../desk.ts';
import type { DeskFarm } from '../farm.ts';
import { dataText, doneText, textOrJson } from '../output.ts';
import { namedOf } from '../place.ts';

const NAMED = ['<vdisk>', 'its name, or NAMESPACE/NAME'] as const;

export function addReleases(desk: Desk, vdisk: Command): void {
  promoteWord(vdisk, NAMED, 'win').action((typed: string, number: string, flags: PromoteFlags, self: Command) =>
    withJudged(
      desk,
      self,
      () => ({
        named: namedOf('vDisk', typed),
        version: String(versionNumber('version', number)),
        body: { access: flags.access, ...releasedOf(flags.releaseAt) },
      }),
      (farm, { named, version, body }) => edit(desk, farm, named, flags, ['versions', version, 'promote'], body),
    ),
  );
  revertWord(vdisk, NAMED, 'win').action((typed: string, flags: EditFlags, self: Command) =>
    withJudged(
      desk,
      self,
      () => namedOf('vDisk', typed),
      (farm, named) => edit(desk, farm, named, flags, ['revert']),
    ),
  );
  addAccept(desk, vdisk);
}

interface AcceptFlags {
  readonly server: string;
  readonly output: 'text' | 'json';
}

function addAccept(desk: Desk, vdisk: Command): void {
  acceptWord(vdisk, 'bootfarm vdisk accept lab 3 --server node-a')
    .addOption(textOrJson())
    .action((typed: string, number: string, { server, output }: AcceptFlags, self: Command) =>
      withJudged(
        desk,
        self,
        () => ({ named: namedOf('vDisk', typed), version: String(versionNumber('version', number)) }),
        async (farm, { named, version }) => {
          const path = farm.path('vdisks', nameIn(farm, named), 'versions', version, 'accept');
          const { value } = await farm.api.send<AcceptAnswer>('POST', path, { body: { server } });
          const { manifest, files, ...accepted } = value;
          const content = manifest === undefined || files === undefined ? undefined : { manifest, files };
          desk.terminal.out(doneText(output, acceptedText({ ...accepted, content }), value));
        },
      ),
    );
}

type Named = ReturnType<typeof namedOf>;

/** A namespace in front of it is the farm's. */
function nameIn(farm: DeskFarm, { namespace, name }: Named): string {
  if ((namespace ?? farm.namespace) === farm.namespace) return name;
  throw new Refusal(
    `${namespace}/${name}: the farm's vDisks are in namespace ${farm.namespace}: write NAME or ${farm.namespace}/NAME`,
  );
}

async function edit(
  { terminal }: Desk,
  farm: DeskFarm,
  named: Named,
  { apply, output }: EditFlags,
  parts: readonly string[],
  body?: object,
): Promise<void> {
  const path = farm.path('vdisks', nameIn(farm, named), ...parts);
  const { value } = await farm.api.send<EditAnswer>('POST', path, { query: { apply }, ...(body && { body }) });
  const said = { ...value, vdisk: `${farm.namespace}/${value.vdisk}` };
  terminal.out(output === 'json' ? dataText(said, 'json') : editText(said));
}

export function rollbackCommand(desk: Desk): Command {
  return rollbackWord(new Command('rollback')).action((flags: RollbackFlags, self: Command) =>
    withJudged(
      desk,
      self,
      () => wishOf(flags),
      (farm, wish) => (wish.kind === 'back' ? back(desk, farm, wish, flags) : settle(desk, farm, wish, flags)),
    ),
  );
}

/** What is there is shown, or ended. */
async function settle(
  { terminal }: Desk,
  farm: DeskFarm,
  wish: Exclude<Wish, { kind: 'back' }>,
  { output, dryRun = false }: RollbackFlags,
): Promise<void> {
  const { items, stale } = await farm.whole<RollbackAnswer>('rollbacks');
  if (wish.kind === 'list') {
    terminal.err(`${staleNote(stale)}${items.length === 0 ? NONE_ROLLED_BACK : ''}`);
    if (output === 'json') return terminal.out(dataText(items, 'json'));
    for (const { vdisk, version, until } of items)
      terminal.out(`${vdisk}: machines boot version ${version}, ${endText(until)}\n`);
    return;
  }
  const there = items.filter(({ vdisk }) => wish.vdisks?.includes(vdisk) ?? true).map(({ vdisk }) => vdisk);
  const cleared = dryRun ? there : await clear(farm, wish.vdisks);
  terminal.out(output === 'json' ? dataText({ dryRun, cleared }, 'json') : clearedText(cleared, dryRun));
}

async function clear(farm: DeskFarm, vdisks: readonly string[] | undefined): Promise<readonly string[]> {
  const paths = vdisks?.map((name) => farm.path('rollbacks', name)) ?? [farm.path('rollbacks')];
  const cleared: string[] = [];
  for (const path of paths) {
    const { value } = await farm.api.send<{ readonly cleared: readonly string[] }>('DELETE', path);
    cleared.push(...value.cleared);
  }
  return cleared;
}

async function back(
  { terminal }: Desk,
  farm: DeskFarm,
  { vdisks, to, forSeconds }: Extract<Wish, { kind: 'back' }>,
  { dryRun = false, output }: RollbackFlags,
): Promise<void> {
  const body = {
    ...(vdisks ? { vdisks } : { all: true }),
    ...(to && ('version' in to ? to : { asOf: timeText(to.asOfSeconds) })),
    ...(forSeconds === undefined ? {} : { forSeconds }),
    dryRun,
  };
  const { value } = await farm.api.send<{ readonly steps: readonly RollbackStep[]; readonly until?: string }>(
    'POST',
    farm.path('rollbacks'),
    { body },
  );
  if (output === 'json') return terminal.out(dataText(value, 'json'));
  for (const step of value.steps) terminal.out(stepText(step, dryRun, value.until));
}
