/** `--instead`: a new image may be taken instead of another one, whose name is its own but for the end. */
import { basename } from 'node:path';
import { Option } from 'commander';
import { mayBeMade } from '../store/beside.ts';
import { must } from '../terminal/refusal.ts';
import type { Telling } from './work.ts';

export interface InsteadFlags {
  readonly instead?: true;
}

export const instead = () =>
  new Option('--instead', 'also where servers take it instead of an image there whose name has another end');

/** Refuses what would be taken instead of another without having been asked for; what is said when it is made. */
export async function tellingOf(path: string, { instead = false }: { readonly instead?: boolean }): Promise<Telling> {
  const other = must(await mayBeMade(path, instead));
  if (other === undefined) return (outcome) => outcome;
  return ({ made, words }) => ({
    made: made !== null && typeof made === 'object' ? { ...made, instead: other } : made,
    words: [
      ...words,
      `servers take ${basename(path)} instead of ${other} from now on: remove ${other} when it is not needed any more`,
    ],
  });
}
