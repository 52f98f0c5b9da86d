import { expect, test } from '@jest/globals';
import { textTo } from './server.ts';

test('a letter that comes in two pieces is one', () => {
  let said = '';
  const take = textTo((text) => {
    said += text;
  });
  const bytes = Buffer.from('Größe €');
  for (const byte of bytes) take(Buffer.of(byte));
  expect(said).toBe('Größe €');
});
