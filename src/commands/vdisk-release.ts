/** `bootfarm vdisk promote|revert`: the edit of a VDisk that a person would make in git, as a patch, or made. */
import type { Command } from 'commander';
import { promote, revert } from '../resources/release.ts';
import { versionNumber } from '../terminal/refusal.ts';
import { type EditFlags, type PromoteFlags, promoteWord, releasedOf, revertWord } from '../terminal/release-words.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Connect, MakeEdit } from './vdisk-edit.ts';

const NAMED = ['<namespace/name>', 'the VDisk'] as const;

export function addReleaseCommands(command: Command, terminal: Terminal, connect?: Connect): void {
  const run = async (named: string, flags: EditFlags, make: MakeEdit): Promise<void> => {
    // The client of the Kubernetes API is loaded where it is needed alone.
    const { editVDisk } = await import('./vdisk-edit.ts');
    return editVDisk(terminal, named, flags, make, connect);
  };

  promoteWord(command, NAMED, 'lab/win').action((named: string, version: string, flags: PromoteFlags) =>
    run(named, flags, (spec) => {
      const { access, releaseAt } = flags;
      return promote(spec, { number: versionNumber('version', version), access, ...releasedOf(releaseAt) });
    }),
  );
  revertWord(command, NAMED, 'lab/win').action((named: string, flags: EditFlags) =>
    run(named, flags, (spec) => revert(spec, Date.now())),
  );
}
