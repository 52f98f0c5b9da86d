/** The import arrows of `src/README.md`, checked: style §Shape 3. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';

/** A source file as the check sees it: its path below `src` and the relative specifiers that it imports. */
export interface SourceFile {
  readonly path: string;
  readonly imports: readonly string[];
}

export type Arrows = ReadonlyMap<string, ReadonlySet<string>>;

const IMPORT = /(?:^|\n)\s*(?:import|export)\b[^;'"]*?['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]/g;

export function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? '');
}

/** Reads the rows of the table `| folder | may import |`, however wide its columns. */
export function parseArrows(readme: string): Arrows {
  const rows = [...readme.matchAll(/^\| *(?!folder )([a-z]+) *\| *([a-z ]*?) *\|$/gm)];
  return new Map(rows.map(([, folder = '', targets = '']) => [folder, new Set(targets.split(' ').filter(Boolean))]));
}

/** One line for each wrong arrow and for each cycle between folders; empty when all is well. */
export function violations(files: readonly SourceFile[], arrows: Arrows): string[] {
  const found: string[] = [];
  const seen = new Map<string, Set<string>>();
  for (const file of files) {
    const from = file.path.split('/')[0] ?? '';
    if (!file.path.includes('/')) continue; // main.ts reads the role and may import roles
    for (const specifier of file.imports) {
      const target = normalize(join(dirname(file.path), specifier))
        .split(sep)
        .join('/');
      const to = target.split('/')[0] ?? '';
      if (to === from) continue;
      seen.set(from, (seen.get(from) ?? new Set()).add(to));
      if (!arrows.get(from)?.has(to))
        found.push(
          `${file.path}: ${from} may not import ${to} (${specifier}); allowed by src/README.md: ${[...(arrows.get(from) ?? [])].join(' ') || 'nothing'}`,
        );
    }
  }
  return [...found, ...cycles(arrows), ...cycles(seen)];
}

function cycles(arrows: Arrows): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (folder: string, path: readonly string[]): void => {
    const at = path.indexOf(folder);
    if (at >= 0) {
      found.push(`cycle: ${[...path.slice(at), folder].join(' -> ')}`);
      return;
    }
    if (done.has(folder)) return;
    for (const next of arrows.get(folder) ?? []) walk(next, [...path, folder]);
    done.add(folder);
  };
  for (const folder of arrows.keys()) walk(folder, []);
  return found;
}

/** The sources below `root` that are no tests, read once for all that looks at them. */
export function readSources(root: string): (SourceFile & { readonly text: string })[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(root, path).split(sep).join('/'), text: readFileSync(path, 'utf8') }))
    .map(({ path, text }) => ({ path, text, imports: importsOf(text) }));
}
