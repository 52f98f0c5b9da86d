/** Images that have one name but for its end: servers take the first by the order of formats, and the others are there for nobody. */
import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { imageNames, stemOf } from '../image/formats.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export interface Beside {
  /** Is taken, and this one is not. */
  readonly before?: string;
  /** Would be taken if this one was not there. */
  readonly instead?: string;
}

/** Of an image with that name, whether it is there yet or not. */
export function besideOf(name: string, there: readonly string[]): Beside {
  const names = namesLike(name);
  const at = names.indexOf(name);
  const before = names.slice(0, Math.max(0, at)).find((other) => there.includes(other));
  if (before !== undefined) return { before };
  const instead = names.slice(at + 1).find((other) => there.includes(other));
  return instead === undefined ? {} : { instead };
}

/** In the order in which servers look for them. */
function namesLike(name: string): readonly string[] {
  const stem = stemOf(name);
  return stem === undefined ? [] : imageNames(stem, true);
}

/** The same of a path; of a folder that cannot be read nothing is said. */
export const besidePath = async (path: string): Promise<Beside> => besideOf(basename(path), await namesBeside(path));

const namesBeside = (path: string): Promise<readonly string[]> => readdir(dirname(path)).catch(() => []);

/** Whether an image may be made there: `instead` says that it may be taken instead of another. The name of that one; one that is there is taken already. */
export async function mayBeMade(
  path: string,
  instead: boolean,
): Promise<Result<string | undefined, Fault<'FileMeant'>>> {
  const name = basename(path);
  const there = await namesBeside(path);
  const other = there.includes(name) ? undefined : besideOf(name, there).instead;
  if (other === undefined || instead) return ok(other);
  const order = namesLike(name).filter((one) => one === name || one === other);
  return fail(
    'FileMeant',
    `${dirname(path)} has ${other}, and servers look for ${order.join(' before ')}: ${name} would be taken instead of it; write it into another folder, or say --instead if that is meant`,
  );
}
