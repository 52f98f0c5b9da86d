/** An image as all readers take it that there are: it is a disk or a fault with a name, soon, with little memory, and nothing else is read. */
import { realpathSync, statSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { sep } from 'node:path';
import { checkChain } from '../../../src/image/check.ts';
import { describeChain } from '../../../src/image/facts.ts';
import { openImage } from '../../../src/image/images.ts';
import { mapDisk } from '../../../src/image/map.ts';

const MIB = 1 << 20;
/** Of pieces of a map: a hostile disk may have millions. */
const MOST_PIECES = 10_000;

export type Outcome = 'disk' | 'fault';

/** Throws where something is wrong with the reader. */
export async function attempt(path: string): Promise<Outcome> {
  const described = await describeChain(path);
  const checked = await checkChain(path);
  const opened = await openImage(path);
  const answers = [described, checked, opened];
  for (const answer of answers) if (!answer.ok) named(answer.error, path);
  // A parent may lack, and what is a hint alone lie over something.
  if (!opened.ok && checked.ok) throw new Error('it is whole, and cannot be opened');
  if (opened.ok && !described.ok) throw new Error('it can be opened, and not be described');
  if (!opened.ok) return 'fault';
  const disk = opened.value;
  try {
    for (const offset of [0, disk.sizeBytes - Math.min(disk.sizeBytes, MIB)]) {
      const read = await disk.read(offset, Math.min(MIB, disk.sizeBytes - offset));
      if (!read.ok) named(read.error, path);
    }
    for (const { length } of disk.extents?.(0, Math.min(disk.sizeBytes, 64 * MIB)) ?? [])
      if (length <= 0) throw new Error(`an extent has ${length} bytes`);
    let pieces = 0;
    for await (const entry of mapDisk(disk, { plain: false, wholeFiles: true })) {
      if (!entry.ok) named(entry.error, path);
      if (++pieces === MOST_PIECES) break;
    }
  } finally {
    await disk.close();
  }
  return 'disk';
}

/** What is thrown inside is `FileUnreadable` outside: no content of a file is that. */
function named({ code, message }: { readonly code: string; readonly message: string }, path: string): void {
  const folder = path.slice(0, path.lastIndexOf(sep));
  if (!message.includes(folder) && code !== 'ReadBeyondEnd') throw new Error(`no file is named: ${code} ${message}`);
  if (code === 'FileUnreadable') throw new Error(message);
}

/** Files that were opened from now on and are not regular ones of `folder`. Of all readers: they have no other way to a file. */
export function watchOpens(folder: string): { readonly strangers: string[]; stop(): void } {
  const strangers: string[] = [];
  const { open } = promises;
  promises.open = async (path, ...rest) => {
    if (!isOwn(String(path), folder)) strangers.push(String(path));
    return open(path, ...rest);
  };
  syncBuiltinESMExports();
  return {
    strangers,
    stop() {
      promises.open = open;
      syncBuiltinESMExports();
    },
  };
}

function isOwn(path: string, folder: string): boolean {
  try {
    const end = realpathSync(path);
    return end.startsWith(folder + sep) && statSync(end).isFile();
  } catch {
    return true; // it is not there
  }
}
