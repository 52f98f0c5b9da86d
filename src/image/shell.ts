/** Lines for a shell on the node that make a raw image of a file that is none, in its folder. They run as they stand. Pure. */
import { basename, dirname } from 'node:path';
import { PARTIAL } from '../kit/file.ts';

/** Writes `into` from `from`; both are names in the folder, as a shell takes them. */
export type Unpack = (from: string, into: string) => string;

/** The image has its name only when it is whole: a line that ends half-way leaves what no look takes for one. */
export function lineFor(path: string, unpack: Unpack, image = basename(path)): string {
  const [from, into, partial] = [basename(path), image, image + PARTIAL].map(word) as [string, string, string];
  return `\`cd ${word(dirname(path))} && ${unpack(from, partial)} && mv ${partial} ${into}\``;
}

export const qemuConvert =
  (format: string): Unpack =>
  (from, into) =>
    `qemu-img convert -f ${format} -O raw ${from} ${into}`;

/** Of a file that its tool reads from standard input: `gzip -d FILE` and its like refuse a name that does not end as theirs do. */
export const filter =
  (command: string): Unpack =>
  (from, into) =>
    `${command} < ${from} > ${into}`;

/** Names are chosen by people: one word each, whatever is in it. */
export const word = (text: string): string =>
  /^[\w./+@%:,][\w./+@%:,~-]*$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
