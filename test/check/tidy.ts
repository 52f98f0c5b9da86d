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
  const lacks = entries.filter((entry) => !words.has(entry) && !words.has(entry.replace(/\.tsx?$/, '')));
  const invents = [...words].filter((word) => /^\w[\w.-]*\.tsx?$/.test(word) && !known.has(word));
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

/** All words of these texts, without comments: where a field is read or written, its name stands. */
export const wordsOf = (files: readonly { readonly text: string }[]): ReadonlySet<string> =>
  new Set(files.flatMap(({ text }) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '').match(/\w+/g) ?? []));

/** A function of ours that answers with a Result, at the top of its file: `function f(…): Result<…>`, `const f = (…): Answer<…> =>`. */
const ANSWERS =
  /^(?:export )?(?:async )?(?:function (\w+)(?:<[^(]*>)?|const (\w+) = (?:async )?(?:<[^(]*>)?)\((?:[^()]|\([^()]*\))*\): (?:Promise<)?(?:Result|Answer)</gm;
/** Methods of the ports to the Kubernetes API and to the database. */
const ASKS = /\b(?:client\.(?:create|apply|applyStatus|patch|delete)|(?:database|writes)\.run)$/;
/** A call that is a whole statement. */
const CALL = /(?<=[;{}]\s*(?:\/\/[^\n]*)?\n) *(?:await )?([\w#.]+)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\);/g;
const OURS = /^import \{([^}]*)\} from '\.[^']*';/gm;

/**
 * Statements that drop a Result: a fault that nobody hears of. What may fail unheard says so by `void`, with the reason beside it. By names, not by
 * types: what answers is one of our functions, or asks the Kubernetes API or the database.
 */
export function droppedResults(files: readonly { readonly path: string; readonly text: string }[]): string[] {
  const declared = (text: string) => [...text.matchAll(ANSWERS)].map(([, a, b]) => a ?? b ?? '');
  const answers = new Set(files.flatMap(({ text }) => declared(text)));
  return files.flatMap(({ path, text }) => {
    const imported = [...text.matchAll(OURS)].flatMap(([, names = '']) => names.split(',').map((name) => name.trim()));
    const known = new Set([...declared(text), ...imported.filter((name) => answers.has(name))]);
    return [...text.matchAll(CALL)]
      .filter(([, callee = '']) => known.has(callee) || ASKS.test(callee))
      .map(
        ({ index, 1: callee }) =>
          `src/${path}:${text.slice(0, index).split('\n').length}: what ${callee} answers is dropped: use it, or write void and why`,
      );
  });
}

/** The folders of `src` that have a README of their own. */
export function readFolders(src: string): Folder[] {
  const readmes = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('/README.md'));
  return readmes.map((file) => ({
    path: dirname(file),
    readme: readFileSync(join(src, file), 'utf8'),
    entries: readdirSync(join(src, dirname(file))).filter(
      (name) => (/\.tsx?$/.test(name) && !name.endsWith('.test.ts')) || !name.includes('.'),
    ),
  }));
}
