/** The folder of a node that a server keeps its journal, digests and marks in, and its follower its data. It is of one farm, and says so. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SHARED_FOLDERS } from '../control/config.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

/**
 * Makes the folder if it is not there, and marks it. One that bears another farm's mark is a fault, and nothing in it is read: the operator gives each farm
 * a folder of its own, so a person moved it here, and knows which of the two he wants.
 */
export function openStateDirectory(
  path: string,
  lineage: string,
): Result<void, Fault<'StateForeign' | 'StateUnusable'>> {
  const mark = join(path, 'lineage');
  try {
    const found = readMark(mark);
    if (found !== undefined && found !== lineage)
      return fail(
        'StateForeign',
        `${path} was kept by servers of a farm with lineage ${found}, and this farm has ${lineage}: move that folder away, this server begins with an empty one`,
      );
    if (found === undefined) writeMark(mark, lineage);
    for (const folder of [SHARED_FOLDERS.wants, SHARED_FOLDERS.chunks])
      mkdirSync(join(path, folder), { recursive: true });
    return ok(undefined);
  } catch (error) {
    return fail('StateUnusable', `${path}: ${errorMessage(error)}`);
  }
}

/** Undefined: there is none. An empty file is one that a full disk left. */
function readMark(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** One line, whole or not at all. */
export function writeMark(path: string, line: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.partial`, `${line}\n`);
  renameSync(`${path}.partial`, path);
}
