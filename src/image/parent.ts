/** Which file of a folder an image is a difference of. Names are hints: files are moved and renamed, also to those of the farm; what is in them proves it. Pure. */

import type { Result } from '../kit/result.ts';
import type { Format, ImageFacts, OpenFault, ParentFacts } from './disk.ts';
import { imageNames, stemOf } from './formats.ts';

/** Of the files of a folder: a set, or a map by name. */
export interface Names {
  readonly has: (name: string) => boolean;
  readonly keys: () => Iterable<string>;
}

/** Versions below its own of which an image may be a difference, by the names of the farm: those between were merged or never made. */
const NUMBERS_BELOW = 50;

export interface Candidate {
  readonly name: string;
  /** What the file says of itself. Undefined: it is named as no image is. */
  readonly image: Result<ImageFacts, OpenFault> | undefined;
}

/**
 * The files that are there and may be it, in the order in which they are asked: by the names of the farm first (`lab.2.avhd` of `lab.3.avhd`), then by those
 * that the image says, in other case, too, for they come from where case is nothing.
 */
export function parentNames(child: string, { names }: ParentFacts, there: Names, formats: readonly Format[]): string[] {
  const own = farmNames(child, formats).filter((name) => there.has(name));
  return [...new Set([...own, ...names.flatMap((name) => namedSo(name, there))])];
}

/** Windows keeps names as they were typed, macOS decomposes them. */
const folded = (name: string): string => name.normalize('NFC').toLowerCase();

/** As it is, then in other case, or in another form of Unicode. */
function namedSo(name: string, there: Names): string[] {
  const own = folded(name);
  const others = [...there.keys()].filter((other) => other !== name && folded(other) === own).sort();
  return there.has(name) ? [name, ...others] : others;
}

function farmNames(child: string, formats: readonly Format[]): string[] {
  const [, stem = '', digits] = /^(.+)\.(\d{1,9})$/.exec(stemOf(child, formats) ?? '') ?? [];
  if (digits === undefined) return [];
  const least = Math.max(1, Number(digits) - NUMBERS_BELOW);
  const numbers = Array.from({ length: Math.max(0, Number(digits) - least) }, (_, index) => Number(digits) - 1 - index);
  return [
    ...numbers.flatMap((number) => imageNames(`${stem}.${number}`, true, formats)),
    ...imageNames(stem, false, formats),
  ];
}

/** It is there; or this file lacks; or what is there is another image. */
export type Found =
  | { readonly kind: 'found'; readonly name: string }
  | { readonly kind: 'lacks'; readonly name: string }
  | { readonly kind: 'wrong'; readonly message: string };

/** `candidates`: of the names above, in order. `path`: of the image. */
export function findParent(path: string, parent: ParentFacts, candidates: readonly Candidate[]): Found {
  const right = candidates.filter(({ image }) => image?.ok && isIt(parent, image.value));
  const [first, second] = [right.find(({ name }) => parent.names.includes(name)) ?? right[0], right[1]];
  // Of several the image itself names the one that it was made with.
  if (first && second && !parent.names.includes(first.name) && first.image?.ok && first.image.value.idStays) {
    const both = right.map(({ name }) => name).join(' and ');
    const message = `${path} is a difference of an image with the identifier ${wanted(parent)}, which ${both} have: leave the one with which it was made`;
    return { kind: 'wrong', message };
  }
  if (first) return { kind: 'found', name: first.name };
  const named = candidates.filter(({ name }) => parent.names.some((hint) => folded(hint) === folded(name)));
  // What is none will say itself why.
  const none = named.find(({ image }) => !image?.ok);
  if (none) return { kind: 'found', name: none.name };
  const [other] = named;
  if (!other) return { kind: 'lacks', name: parent.names[0] ?? `an image with the identifier ${wanted(parent)}` };
  const has = other.image?.ok ? other.image.value.id : undefined;
  const message = `${path} is a difference of an image with the identifier ${wanted(parent)}, and ${other.name} beside it has ${has ?? 'none'}: put the one there with which it was made`;
  return { kind: 'wrong', message };
}

const isIt = ({ ids }: ParentFacts, { id }: ImageFacts): boolean =>
  ids === undefined || (id !== undefined && ids.includes(id));

const wanted = ({ ids = [] }: ParentFacts): string => ids.join(' or ');
