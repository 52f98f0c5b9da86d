/**
 * `npm run check`: types, Biome, format of C, import arrows, dead exports, READMEs, generated files. Each step runs though another failed, so that one run shows all.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArrows, readSources, violations } from './arrows.ts';
import { generated } from './generate.ts';
import { hasHelm } from './kustomize.ts';
import { droppedResults, pathFaults, readFolders, readmeFaults, unusedArrows } from './tidy.ts';

const DOCUMENTED = ['src', 'test', 'target', 'docs', 'deploy', 'charts'];

const root = join(import.meta.dirname, '../..');
const sources = readSources(join(root, 'src'));
const bin = (name: string): string => join(root, 'node_modules/.bin', name);

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (text += data));
    child.on('close', (code) => resolve(code === 0 ? '' : text || `${command} ended with ${code}`));
  });
}

async function arrows(): Promise<string> {
  const readme = readFileSync(join(root, 'src/README.md'), 'utf8');
  const table = parseArrows(readme);
  return [...violations(sources, table), ...unusedArrows(sources, table)].join('\n');
}

async function readmes(): Promise<string> {
  const files = ['src', 'test', 'target'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }),
  );
  const known = new Set(files.map((file) => basename(file)));
  const ofFolders = readFolders(join(root, 'src')).flatMap((folder) => readmeFaults(folder, known));
  const ofPaths = documents().flatMap((path) =>
    pathFaults(path, readFileSync(join(root, path), 'utf8'), (named) => existsSync(join(root, named))),
  );
  return [...ofFolders, ...ofPaths].join('\n');
}

/** Texts of the project, from its root. */
function documents(): string[] {
  const below = DOCUMENTED.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
  );
  return [...readdirSync(root), ...below].filter((file) => file.endsWith('.md'));
}

/** The C of the client, as `target/.clang-format` says; `npm run format` brings it there. */
function cFormat(): Promise<string> {
  const files = readdirSync(join(root, 'target'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.[ch]$/.test(file),
  );
  const style = `--style=file:${join('target', '.clang-format')}`;
  return run(bin('clang-format'), ['--dry-run', '-Werror', style, ...files.map((file) => join('target', file))]);
}

/** Each step gives the text of what is wrong, empty when nothing is. */
const steps: Readonly<Record<string, () => Promise<string>>> = {
  types: () => run(bin('tsc'), ['-p', 'tsconfig.json']),
  'types of the console': () => run(bin('tsc'), ['-p', 'src/console/tsconfig.json']),
  'C format': cFormat,
  biome: () => run(bin('biome'), ['ci', '--colors=off', '.']),
  arrows,
  results: async () => droppedResults(sources).join('\n'),
  exports: () => run(bin('knip'), ['--no-progress', '--reporter', 'compact']),
  readmes,
  generated: async () => (await generated()).join('\n'),
};

let failed = 0;
await Promise.all(
  Object.entries(steps).map(async ([name, step]) => {
    const start = performance.now();
    const wrong = await step();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const left = name === 'generated' && !hasHelm() ? ', without deploy/base: there is no Helm, run make setup' : '';
    console.log(`${wrong ? 'FAIL' : 'ok  '} ${name} (${seconds} s)${left}${wrong ? `\n${wrong}` : ''}`);
    if (wrong) failed++;
  }),
);
process.exitCode = failed ? 1 : 0;
