/** Paths of other machines and other times, by which an image names what it is a difference of: the name that one of them gives it. Pure. */

/** A path as an image has it, in the order in which they are believed. */
export interface Hint {
  readonly path: string;
  /** From the folder of the image. */
  readonly relative?: boolean;
}

/** Of one image: paths longer than a name are few, and longer than that no path is. */
export const MAX_HINT_BYTES = 65_536;

/**
 * Names in the folder of the image. A store is moved and renamed, so that of an absolute path the last part is all that counts. A relative one that leads out
 * of the folder is believed as far: but where the image has no such neighbour, no later hint stands in for it.
 */
export function namesOf(hints: readonly Hint[]): readonly string[] {
  const names = new Set<string>();
  for (const { path, relative } of hints) {
    const parts = partsOf(path);
    const name = parts.at(-1);
    if (name !== undefined && mayBeName(name)) names.add(name);
    if (relative && leadsOut(parts)) break;
  }
  return [...names];
}

/** Of a name in a folder, in UTF-8. */
const MAX_NAME_BYTES = 255;

/** Whoever made the image chose it, and people read it in messages: what moves a cursor is none. */
const mayBeName = (name: string): boolean =>
  name !== '..' && !/\p{Cc}/u.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES;

const partsOf = (path: string): string[] =>
  path
    .replace(/\0[\s\S]*$/, '')
    .split(/[\\/]/)
    .filter((part) => part !== '' && part !== '.');

function leadsOut(parts: readonly string[]): boolean {
  let depth = 0;
  for (const part of parts) {
    depth += part === '..' ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}
