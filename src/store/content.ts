/** What is known of the content of files that are open, by what a look into their folder found under their names. Pure. */
import type { VersionFile } from '../farm/model.ts';
import type { Content, OpenFile } from '../image/disk.ts';
import { sameFile } from '../image/identity.ts';
import type { Digest } from './digests.ts';
import { byName, type FileFacts, type Inventory } from './inventory.ts';

/** What one of them is, all are: the first of these. */
const ORDER: readonly Content[] = ['Unseen', 'Wrong', 'Elsewhere', 'Hashing', 'Right'];

/** `right`: what the farm says of them. */
export function contentOf(
  files: readonly OpenFile[],
  right: readonly VersionFile[],
  inventory: Inventory | undefined,
  digestOf: (file: FileFacts) => Digest,
): Content {
  if (inventory === undefined || inventory.state === 'Unreachable') return 'Unseen';
  const each = files.map(({ name, identity }): Content => {
    const found = byName(inventory).get(name);
    if (!found || found.fault || !sameFile(found.identity, identity)) return 'Elsewhere';
    const digest = digestOf(found);
    if (digest.kind !== 'ready') return digest.kind === 'hashing' ? 'Hashing' : 'Elsewhere';
    return digest.sha256 === right.find((file) => file.name === name)?.sha256 ? 'Right' : 'Wrong';
  });
  return ORDER.find((content) => each.includes(content)) ?? 'Right';
}

/** Of folders of which one has them: what it says of them, or that one of them cannot be asked. */
const SUREST: readonly Content[] = ['Wrong', 'Hashing', 'Right', 'Unseen', 'Elsewhere'];
export const surestOf = (said: readonly Content[]): Content =>
  SUREST.find((content) => said.includes(content)) ?? 'Unseen';
