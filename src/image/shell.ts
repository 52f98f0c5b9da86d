/** Lines for a shell on the node that make an image that is read of a file that is none, in its folder. They run as they stand. Pure. */
import { basename, dirname } from 'node:path';
import { PARTIAL } from '../kit/file.ts';
import { quoted } from '../kit/quote.ts';

/** Writes `into` from `from`; both are names in the folder, as a shell takes them. */
export type Unpack = (from: string, into: string) => string;

/**
 * The image has its name only when it is whole: a line that ends half-way leaves what no look takes for one. What is converted may be the only one there is:
 * the file keeps all its bytes, under another name where the image takes its own, and no image that came there meanwhile is overwritten.
 */
export function lineFor(path: string, unpack: Unpack): string {
  const image = basename(path);
  const [name, partial] = [image, image + PARTIAL].map(word) as [string, string];
  const moves = `mv ${name} "$(mktemp -u ${template(image)})" && mv ${partial} ${name}`;
  return `\`cd ${word(dirname(path))} && ${unpack(name, partial)} && ${moves}\``;
}

/** Gives an image the name of its format. No image that has it is overwritten, and what has the name of another is left where it was. */
export function renameLine(path: string, extension: string): string {
  const name = basename(path);
  return `\`cd ${word(dirname(path))} && mv -n ${word(name)} ${word(withEnd(name, extension))}\``;
}

/** Makes an image of one of another program, beside it; `format`: as qemu-img calls it. */
export const importLine = (path: string, format: string): string =>
  besideLine(path, format, (from, into) => `bootfarm vdisk import ${from} ${into}`);

/** The same by qemu-img, of what is not taken in so. It has its name only when it is whole. */
export const convertLine = (path: string, format: string): string =>
  besideLine(
    path,
    format,
    (from, into, partial) => `qemu-img convert -O vhdx -f ${format} ${from} ${partial} && mv -n ${partial} ${into}`,
  );

/** What already has the name that the image gets, gets that of its own format first. */
function besideLine(
  path: string,
  format: string,
  make: (from: string, into: string, partial: string) => string,
): string {
  const name = basename(path);
  const [into, foreign] = ['.vhdx', `.${format}`].map((end) => withEnd(name, end)) as [string, string];
  const [from, move] = into === name ? [foreign, `mv -n ${word(name)} ${word(foreign)} && `] : [name, ''];
  return `\`cd ${word(dirname(path))} && ${move}${make(word(from), word(into), word(into + PARTIAL))}\``;
}

/** In place of its own end, where that is one of an image: `lab.1` is version 1. */
const withEnd = (name: string, extension: string): string => name.replace(IMAGE_END, '') + extension;

const IMAGE_END = /\.(raw|a?vhdx?|img|bin|dd|iso|qcow2?|qed|vmdk|vdi|hdd|hds)$/i;

/** Of a name that is not there yet and that no look takes for an image: an end of one has a dot before it. */
const template = (name: string): string => word(`${name}.original-XXXXXX`);

export const qemuConvert =
  (format: string): Unpack =>
  (from, into) =>
    `qemu-img convert -O raw -f ${format} ${from} ${into}`;

/** Of a file that its tool reads from standard input: `gzip -d FILE` and its like refuse a name that does not end as theirs do. */
export const filter =
  (command: string): Unpack =>
  (from, into) =>
    `${command} < ${from} > ${into}`;

/** Names are chosen by people: one word each, whatever is in it. */
export const word = (text: string): string => (/^[\w./+@%:,][\w./+@%:,~-]*$/.test(text) ? text : quoted(text));
