/** The README of the stream says what the table of the wire says, word for word. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { messages } from '../../src/stream/wire.ts';
import { readmeHeader, readmeOf, readmeTypes } from './wire.ts';

const README = readFileSync(join(import.meta.dirname, '../../src/stream/README.md'), 'utf8');

test.each([
  ['the header', readmeHeader()],
  ['the types', readmeTypes()],
  ...messages().map(([name]) => [name, readmeOf(name)] as const),
])('README.md has %s as the table has it', (_, text) => {
  expect(README).toContain(`\n${text}`);
});
