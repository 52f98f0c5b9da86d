/** Records what the copies of a vDisk are worth: what differs from what is there, in one transaction, and nothing where nothing does. */
import { isDeepStrictEqual } from 'node:util';
import type { Database } from '../database/connection.ts';
import { type CopyChanges, type CopyRow, copiesOf, recordCopies } from '../database/copies.ts';
import type { DatabaseFault } from '../database/fault.ts';
import { ok, type Result } from '../kit/result.ts';
import { Recent } from './recent.ts';

/** What a look at a vDisk found. */
export interface CopiesFound {
  readonly copies: readonly CopyRow[];
  /** Numbers of the versions of which each server that should have copies shows an image; `Unknown`: it does not answer. */
  readonly images: ReadonlyMap<string, ReadonlySet<number> | 'Unknown'>;
}

/** A message of a folder of many files has no end: what is told of a copy has. */
const MESSAGE_CHARACTERS = 1_024;

/**
 * A version that the VDisk names no more has no verdict. What was said of it last stays for as long as its image lies there: so it is known
 * which copy is the last good one when a person removes its files.
 */
export function copyChanges(there: readonly CopyRow[], { copies, images }: CopiesFound): CopyChanges {
  const bounded = copies.map((copy) => ({ ...copy, message: cut(copy.message) }));
  const before = new Map(there.map((row) => [keyOf(row), row]));
  const now = new Set(bounded.map(keyOf));
  const stays = ({ server, version }: CopyRow): boolean => {
    const shown = images.get(server);
    return shown !== undefined && (shown === 'Unknown' || shown.has(version));
  };
  return {
    put: bounded.filter((copy) => !isSame(copy, before.get(keyOf(copy)))),
    gone: there
      .filter((row) => !now.has(keyOf(row)) && !stays(row))
      .map(({ server, version }) => ({ server, version })),
  };
}

const keyOf = ({ server, version }: CopyRow): string => `${version}/${server}`;

/** How long it still takes is no news by itself. */
function isSame({ secondsLeft: _, ...copy }: CopyRow, there: CopyRow | undefined): boolean {
  if (!there) return false;
  const { secondsLeft: _was, ...before } = there;
  return isDeepStrictEqual(copy, before);
}

/** Cut between characters. */
const cut = (message: string): string =>
  message.length <= MESSAGE_CHARACTERS ? message : `${message.slice(0, MESSAGE_CHARACTERS - 1).toWellFormed()}…`;

/** Somebody may have changed or emptied the table meanwhile. */
const CHECK_EVERY_MS = 30_000;

export class CopyRecord {
  readonly #recorded = new Recent(CHECK_EVERY_MS);

  /** Nobody is asked where it found the same less than 30 s ago. What failed is tried again at the next look. */
  async record(writes: Database, vdisk: string, found: CopiesFound): Promise<Result<void, DatabaseFault>> {
    const what = whatOf(found);
    if (this.#recorded.has(vdisk, what)) return ok(undefined);
    const there = await copiesOf(writes, vdisk);
    if (!there.ok) return there;
    const changes = copyChanges(there.value, found);
    if (changes.put.length + changes.gone.length > 0) {
      const done = await recordCopies(writes, vdisk, changes);
      if (!done.ok) return done;
    }
    this.#recorded.note(vdisk, what);
    return ok(undefined);
  }
}

const whatOf = ({ copies, images }: CopiesFound): string =>
  JSON.stringify([
    copies.map(({ secondsLeft: _, ...copy }) => copy),
    [...images].map(([server, shown]) => [server, shown === 'Unknown' ? shown : [...shown]]),
  ]);
