import { expect, test } from '@jest/globals';
import { notice } from './notice.ts';

const lock = (packages: object): string => JSON.stringify({ packages: { '': { license: 'Apache-2.0' }, ...packages } });

test('packages that the image holds are named by licence, and those of the tests are not', () => {
  const text = notice(
    lock({
      'node_modules/b': { version: '2.0.0', license: 'MIT' },
      'node_modules/a': { version: '1.0.0', license: 'MIT' },
      'node_modules/b/node_modules/@s/c': { version: '3.0.0', license: 'ISC' },
      'node_modules/jest': { version: '30.0.0', license: 'MIT', dev: true },
    }),
  );
  expect(text).toMatch(/ISC\n {2}@s\/c 3\.0\.0\n\nMIT\n {2}a 1\.0\.0\n {2}b 2\.0\.0\n$/);
  expect(text).not.toContain('jest');
});

test('one without a licence is named', () => {
  expect(() => notice(lock({ 'node_modules/x': { version: '1.0.0' } }))).toThrow('x 1.0.0 names no licence');
});
