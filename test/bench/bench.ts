/**
 * `npm run bench -- NAME… [--rounds N] [--only PART,…] [--gib N]` (or `all`): each NAME is a module of this folder that exports `run`. Figures go to standard output, one JSON line each;
 * everything else to standard error. Ends with 1 when a figure misses its bar.
 */
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Run } from './figure.ts';

const NOT_BENCHES = new Set(['bench', 'figure']);
const known = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
  .filter((name) => !NOT_BENCHES.has(name))
  .sort();

const { positionals: asked, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, only: { type: 'string' }, gib: { type: 'string' } },
});
const options = {
  ...(values.rounds === undefined ? {} : { rounds: Number(values.rounds) }),
  ...(values.gib === undefined ? {} : { gib: Number(values.gib) }),
  ...(values.only === undefined ? {} : { only: values.only.split(',') }),
};
const names = asked.includes('all') ? known : asked;
const wrong = names.filter((name) => !known.includes(name));
if (names.length === 0 || wrong.length > 0) {
  console.error(
    `usage: npm run bench -- all|${known.join('|')} [--rounds N] [--only PART,…] [--gib N]${wrong.length > 0 ? ` (no bench ${wrong.join(', ')})` : ''}`,
  );
  process.exit(2);
}
for (const name of names) {
  const { run }: { run: Run } = await import(`./${name}.ts`);
  for await (const figure of run(options)) {
    console.log(JSON.stringify(figure));
    if (figure.pass === false) process.exitCode = 1;
  }
}
