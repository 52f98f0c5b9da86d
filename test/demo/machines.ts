/** Machines of a demo that ran before. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { endProcesses } from '../cluster/processes.ts';
import { attempt } from '../cluster/run.ts';

const foldersOf = (stateDirectory: string): string => join(stateDirectory, 'machines');

export const machineFolder = (stateDirectory: string, name: string): string => join(foldersOf(stateDirectory), name);

/** Switches them off, as a person does: without a word to the system in them. Returns their names; `namespace`: where they are plugged in. */
export async function endMachines(stateDirectory: string, namespace?: string): Promise<readonly string[]> {
  const folders = foldersOf(stateDirectory);
  const names = existsSync(folders) ? readdirSync(folders).sort() : [];
  await endProcesses(stateDirectory, names);
  const there = namespace === undefined ? [] : ['-n', namespace];
  for (const name of names) attempt('ip', ...there, 'link', 'delete', `tap-${name}`);
  return names;
}
