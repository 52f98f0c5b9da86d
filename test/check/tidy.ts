/** What keeps the house as its READMEs say that it is. Pure, over texts; `check.ts` shows what is wrong. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Arrows, SourceFile } from './arrows.ts';

/** A folder below `src`, with its README and the names of its files and folders. */
export interface Folder {
  /** Below `src`: `stream`. */
  readonly path: string;
  readonly readme: string;
  /** Its own: `packet.ts`, `native`. Tests are none of them. */
  readonly entries: readonly string[];
}

/** Files that a README lacks, and those that it names and nobody has. `known`: the names of all files of the project. */
export function readmeFaults({ path, readme, entries }: Folder, known: ReadonlySet<string>): string[] {
  const words = new Set(readme.match(/[\w.-]+/g));
  const lacks = entries.filter((entry) => !words.has(entry) && !words.has(entry.replace(/\.ts$/, '')));
  const invents = [...words].filter((word) => /^\w[\w.-]*\.ts$/.test(word) && !known.has(word));
  return [
    ...lacks.map((entry) => `src/${path}/README.md does not say what ${entry} is`),
    ...invents.map((name) => `src/${path}/README.md names ${name}, which is nowhere`),
  ];
}

const TOP = /`((?:src|test|docs|charts|crds|deploy|target)\/[\w./-]*[\w/])`/g;
/** Stands for a name: `src/resources/KIND.ts`. */
const PLACEHOLDER = /\/[A-Z]+(?:\/|\.ts|$)/;

/** Paths in backquotes that lead nowhere, from the root or from the document's own folder. */
export function pathFaults(document: string, text: string, exists: (path: string) => boolean): string[] {
  return [...text.matchAll(TOP)]
    .map(([, path = '']) => path)
    .filter((path) => !PLACEHOLDER.test(path) && !exists(path) && !exists(join(dirname(document), path)))
    .map((path) => `${document} names ${path}, which is nowhere`);
}

/** Arrows of the table that nothing goes along. */
export function unusedArrows(files: readonly SourceFile[], arrows: Arrows): string[] {
  const used = new Set(
    files.flatMap(({ path, imports }) =>
      imports.map((specifier) => `${path.split('/')[0]} ${join(dirname(path), specifier).split('/')[0]}`),
    ),
  );
  return [...arrows].flatMap(([from, targets]) =>
    [...targets]
      .filter((to) => !used.has(`${from} ${to}`))
      .map((to) => `src/README.md: ${from} imports nothing of ${to}`),
  );
}

/** The folders of `src` that have a README of their own. */
export function readFolders(src: string): Folder[] {
  const readmes = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('/README.md'));
  return readmes.map((file) => ({
    path: dirname(file),
    readme: readFileSync(join(src, file), 'utf8'),
    entries: readdirSync(join(src, dirname(file))).filter(
      (name) => (name.endsWith('.ts') && !name.endsWith('.test.ts')) || !name.includes('.'),
    ),
  }));
}
