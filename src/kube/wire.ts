/** The types of client-node as the wire carries them: times are strings, and nothing is changed in place. */
import type { KubeObject } from './object.ts';

/** As it is written: a field that this type does not have does not compile, and one that is undefined is left out. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Wire<Item>[]
    : T extends object
      ? { readonly [Name in keyof T]: Wire<T[Name]> | (IsOptional<T, Name> extends true ? undefined : never) }
      : T;

type IsOptional<T, Name extends keyof T> = string extends Name ? false : object extends Pick<T, Name> ? true : false;

/** As it is read, all of it optional: the API says what it has. */
type Read<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Read<Item>[]
    : T extends object
      ? { readonly [Name in keyof T]?: Read<T[Name]> }
      : T;

/** An object of this type that the API gave. */
export type Live<T> = KubeObject & Read<Pick<T, Extract<keyof T, 'spec' | 'status' | 'data'>>>;
