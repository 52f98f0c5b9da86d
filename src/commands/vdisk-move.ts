/** `bootfarm vdisk move`: the edit of a VDisk by which its files go to another Store, as a patch, or made; and how far it is. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { Client } from '../kube/client.ts';
import { moveTo } from '../resources/move.ts';
import { Refusal } from '../terminal/refusal.ts';
import type { EditFlags } from '../terminal/release-words.ts';
import { interrupted, type Terminal } from '../terminal/terminal.ts';
import type { Connect } from './vdisk-edit.ts';

interface Flags extends EditFlags {
  readonly to: string;
  readonly removeOld?: true;
  readonly dryRun?: true;
  readonly wait?: true;
}

const LOOK_MS = 1_000;

/** `lookMs`: how often it is asked how far it is. */
export function addMove(command: Command, terminal: Terminal, connect?: Connect, lookMs = LOOK_MS): void {
  command
    .command('move')
    .description('let the files of a VDisk go to another Store while devices read them: prints the edit of the VDisk')
    .argument('<namespace/name>', 'the VDisk')
    .requiredOption('--to <store>', 'required: the Store, in the same namespace')
    .option(
      '--remove-old',
      'what lies where it was goes, when the new Store is proved to have all of it (default: it stays)',
    )
    .option('--apply', 'make the edit; git, where it keeps the VDisk, makes it undone')
    .addOption(new Option('--dry-run', 'say what it comes to, as without --apply').conflicts('apply'))
    .addOption(new Option('--wait', 'with --apply: until it is there'))
    .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      `
Devices read on from the old Store until enough servers of the new one have all of it (minCopies), then they go there. Until
it is over the old Store is in use: status.movingFrom, condition Moving. Moving it back is the same command.

Example:
  bootfarm vdisk move lab/win --to fast --apply --wait`,
    )
    .action(async (named: string, flags: Flags) => {
      if (flags.wait && !flags.apply) return refuse(terminal, '--wait: there is nothing to wait for without --apply');
      // The client of the Kubernetes API is loaded where it is needed alone.
      const { editVDisk } = await import('./vdisk-edit.ts');
      await editVDisk(
        terminal,
        named,
        flags,
        (_, around) => edit(flags, around),
        connect,
        async (client) => {
          if (flags.wait) await follow(client, terminal, named, flags.to, lookMs);
        },
      );
    });
}

function refuse(terminal: Terminal, message: string): void {
  terminal.err(`error: ${message}\n`);
  terminal.fail();
}

async function edit({ to, removeOld }: Flags, { client, vdisk }: Parameters<import('./vdisk-edit.ts').MakeEdit>[1]) {
  const { resourcesOf } = await import('./vdisk-edit.ts');
  const { namespace } = vdisk.metadata;
  const [stores, vdisks] = [
    await resourcesOf(client, 'Store', namespace),
    await resourcesOf(client, 'VDisk', namespace),
  ];
  return moveTo(
    { vdisk, store: stores.find(({ metadata }) => metadata.name === to), vdisks },
    { to, removeOld: removeOld === true },
  );
}

/** Each sentence once, until it is there; whoever ends it ends nothing but the telling. */
async function follow(client: Client, terminal: Terminal, named: string, to: string, lookMs: number): Promise<void> {
  const { readVDisk } = await import('./vdisk-edit.ts');
  const signal = interrupted();
  for (let told = ''; !signal.aborted; await delay(lookMs, undefined, { signal }).catch(() => undefined)) {
    const { metadata, spec, status } = await readVDisk(client, named);
    if (spec.storeRef.name !== to)
      throw new Refusal(`${named} goes to Store ${spec.storeRef.name} by now: somebody, or git, said so`);
    const isSeen = status.observedGeneration === metadata.generation && status.store === to;
    if (isSeen && (status.movingFrom ?? []).length === 0) {
      terminal.out(`${named}: it is in Store ${to}\n`);
      return;
    }
    const { message = '' } = status.conditions?.find(({ type }) => type === 'Moving') ?? {};
    if (message !== told && message !== '') terminal.out(`${named}: ${message}\n`);
    told = message;
  }
}
