import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { TASKS } from '../demo/docs.ts';
import { blocksOf, filledIn, scriptOf } from './pages.ts';

const docs = join(import.meta.dirname, '../../docs');
const textOf = (page: string): string => readFileSync(join(docs, page), 'utf8');

/** Fenced as `console`: what a page says and the test of the pages does not do. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'kubectl delete -k farm': 'it ends the farm on which all pages run; test/e2e/life.test.ts deletes farms',
  'helm uninstall bootfarm -n bootfarm': 'the operator of that farm; test/e2e/life.test.ts has it away',
  'kubectl delete node NODE':
    'a node of a cluster that other tests go on with; src/reconcile/streamingserver/nodes.test.ts',
};

describe('blocks', () => {
  test.each([
    ['none', 'a\n`b`\n', []],
    ['one', '# t\n\n```sh\na\nb\n```\n', [{ language: 'sh', lines: ['a', 'b'], line: 4 }]],
    [
      'two, and one without a word',
      '```text\na\n```\nb\n```\nc\n```',
      [
        { language: 'text', lines: ['a'], line: 2 },
        { language: '', lines: ['c'], line: 6 },
      ],
    ],
    [
      'one below a point of a list',
      '1. x\n\n   ```sh\n   a\n     b\n   ```\n',
      [{ language: 'sh', lines: ['a', '  b'], line: 4 }],
    ],
    ['a fence within a longer one', '````sh\n```\na\n````\n', [{ language: 'sh', lines: ['```', 'a'], line: 2 }]],
    ['one that is not closed', '```sh\na', [{ language: 'sh', lines: ['a'], line: 2 }]],
  ])('%s', (_, markdown, blocks) => {
    expect(blocksOf(markdown)).toEqual(blocks);
  });
});

test('a word in capitals is what somebody has, as a whole word alone', () => {
  const values = { NODE: 'node-a', TAG: 'dev' };
  expect(filledIn('main-NODE NODES $NODE_X image.tag=TAG <<END', values)).toBe(
    'main-node-a NODES $NODE_X image.tag=dev <<END',
  );
});

test('a script has its commands in the lines of the page, and nothing of other blocks', () => {
  const page = '# t\n\n```sh\na NODE\n```\n\n```console\nb\n```\n\n```sh\nc\n```\n';
  expect(scriptOf(page, { NODE: 'x' }).split('\n')).toEqual(['', '', '', 'a x', '', '', '', '', '', '', '', 'c', '']);
});

describe('the pages of docs', () => {
  test('what is not run is said, with a reason', () => {
    const said = TASKS.flatMap((page) =>
      blocksOf(textOf(page)).flatMap(({ language, lines }) => (language === 'console' ? lines : [])),
    );
    expect(said.toSorted()).toEqual(Object.keys(NOT_RUN).toSorted());
  });

  test.each(TASKS)('%s has commands, the way back, and no block that nobody knows', (page) => {
    const text = textOf(page);
    const languages = new Set(blocksOf(text).map(({ language }) => language));
    expect([...languages].filter((language) => !['sh', 'console', 'text', 'yaml'].includes(language))).toEqual([]);
    expect(languages).toContain('sh');
    expect(text).toMatch(/^# .+\n\n[\s\S]*\n\*\*Before:\*\* [\s\S]*\n## The way back\n/);
  });

  test.each(TASKS)('%s is a script of bash', (page) => {
    const script = scriptOf(textOf(page), {});
    const { status, stderr } = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });

  test('docs/README.md has each of them', () => {
    const pages = readdirSync(docs).flatMap((name) => {
      const page = name.endsWith('.md') ? name : `${name}/README.md`;
      return page === 'README.md' ? [] : [page];
    });
    const linked = [...textOf('README.md').matchAll(/\]\(([^)]+)\)/g)].map(([, page = '']) => page);
    expect(linked.toSorted()).toEqual(pages.toSorted());
    expect(linked.filter((page) => !existsSync(join(docs, page)))).toEqual([]);
  });
});
