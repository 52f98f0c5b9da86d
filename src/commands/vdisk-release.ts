/** `bootfarm vdisk promote|revert`: the edit of a VDisk that a person would make in git, as a patch, or made. */
import { type Command, Option } from 'commander';
import { ACCESSES } from '../resources/common.ts';
import { promote, revert } from '../resources/release.ts';
import { hasRealDay, Refusal, versionNumber } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Connect, Flags, MakeEdit } from './vdisk-edit.ts';

type Access = (typeof ACCESSES)[number];

export function addReleaseCommands(command: Command, terminal: Terminal, connect?: Connect): void {
  const edited = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .argument('<namespace/name>', 'the VDisk')
      .option('--apply', 'make the edit; git, where it keeps the VDisk, makes it undone')
      .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'));
  const run = async (named: string, flags: Flags, make: MakeEdit): Promise<void> => {
    // The client of the Kubernetes API is loaded where it is needed alone.
    const { editVDisk } = await import('./vdisk-edit.ts');
    return editVDisk(terminal, named, flags, make, connect);
  };

  edited('promote', 'let a class of devices boot a version: prints the edit of the VDisk')
    .argument('<version>', 'its number')
    .addOption(new Option('--access <access>', 'for whom').choices([...ACCESSES]).default('Production'))
    .option('--release-at <time>', 'when, such as 2026-12-01T06:00:00Z (default: at once)')
    .addHelpText('after', '\nExample:\n  bootfarm vdisk promote lab/win 3 --release-at 2026-12-01T06:00:00Z')
    .action((named: string, version: string, flags: Flags & { access: Access; releaseAt?: string }) =>
      run(named, flags, (spec) => {
        const { access, releaseAt } = flags;
        return promote(spec, { number: versionNumber('version', version), access, ...releasedOf(releaseAt) });
      }),
    );
  edited('revert', 'let machines boot the version before: prints the edit of the VDisk')
    .addHelpText('after', '\nExample:\n  bootfarm vdisk revert lab/win --apply\n\nWithout git: bootfarm rollback')
    .action((named: string, flags: Flags) => run(named, flags, (spec) => revert(spec, Date.now())));
}

function releasedOf(text: string | undefined): { readonly releaseAt?: string } {
  if (text === undefined) return {};
  if (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text)) &&
    hasRealDay(text)
  )
    return { releaseAt: text };
  throw new Refusal(`--release-at ${text}: write it as 2026-12-01T06:00:00Z`);
}
