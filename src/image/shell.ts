/** Lines for a shell on the node that make a raw image of a file that is none, in its folder. They run as they stand. Pure. */
import { basename, dirname } from 'node:path';
import { PARTIAL } from '../kit/file.ts';

/** Writes `into` from `from`; both are names in the folder, as a shell takes them. */
export type Unpack = (from: string, into: string) => string;

/**
 * The image has its name only when it is whole: a line that ends half-way leaves what no look takes for one. What is converted may be the only one there is:
 * the file keeps all its bytes, under another name where the image takes its own, and no image that came there meanwhile is overwritten.
 */
export function lineFor(path: string, unpack: Unpack, image = basename(path)): string {
  const [from, into, partial] = [basename(path), image, image + PARTIAL].map(word) as [string, string, string];
  const moves =
    image === basename(path)
      ? `mv ${from} "$(mktemp -u ${template(image, 'original')})" && mv ${partial} ${into}`
      : `mv -n ${partial} ${into}`;
  return `\`cd ${word(dirname(path))} && ${unpack(from, partial)} && ${moves}\``;
}

/** Cuts off what follows the disk, and keeps it beside. To a size that is said, so that a second time does no harm. */
export function cutLine(path: string, diskBytes: number, restBytes: number): string {
  const name = basename(path);
  const keep = `tail -c ${restBytes} ${word(name)} > "$(mktemp ${template(name, 'footer')})"`;
  return `\`cd ${word(dirname(path))} && ${keep} && truncate -s ${diskBytes} ${word(name)}\``;
}

/** Of a name that is not there yet and that no look takes for an image: an end of one has a dot before it. */
const template = (name: string, what: string): string => word(`${name}.${what}-XXXXXX`);

export const qemuConvert =
  (format: string): Unpack =>
  (from, into) =>
    `qemu-img convert -O raw ${format === 'vpc' ? `--image-opts ${vpcOptions(from)}` : `-f ${format} ${from}`} ${into}`;

/**
 * Of some creators qemu-img takes the size of a VHD from its geometry, which may end before the disk does; the footer always says all of it. In options a
 * comma is written twice (also in a word of a shell).
 */
const vpcOptions = (from: string): string =>
  `driver=vpc,force_size_calc=current_size,file.filename=${from.replaceAll(',', ',,')}`;

/** Of a file that its tool reads from standard input: `gzip -d FILE` and its like refuse a name that does not end as theirs do. */
export const filter =
  (command: string): Unpack =>
  (from, into) =>
    `${command} < ${from} > ${into}`;

/** Names are chosen by people: one word each, whatever is in it. */
export const word = (text: string): string =>
  /^[\w./+@%:,][\w./+@%:,~-]*$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
