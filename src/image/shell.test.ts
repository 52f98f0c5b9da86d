import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { filter, lineFor, word } from './shell.ts';

test('a line runs in any folder', () => {
  expect(lineFor('/srv/my disks/lab.raw', filter('gzip -dc'))).toBe(
    "`cd '/srv/my disks' && gzip -dc < lab.raw > lab.raw.partial && mv lab.raw.partial lab.raw`",
  );
});

test.each(['lab.raw', '/srv/vdisks', 'a b', "it's", '$(id)', '-rf', '~root', 'a;b', 'ü'])('%s is one word', (text) => {
  expect(execFileSync('sh', ['-c', `printf %s ${word(text)}`]).toString()).toBe(text);
});
