import { expect, test } from '@jest/globals';
import { shownUrl } from './url.ts';

test.each([
  ['https://images.example/lab.vhdx', 'https://images.example/lab.vhdx'],
  ['http://me:secret@images.example:8080/a/lab.vhdx?signature=secret#secret', 'http://images.example:8080/a/lab.vhdx'],
  ['https://secret@secret@images.example', 'https://images.example'],
  ['https://images.example?at=//x@y/z', 'https://images.example'],
  ['http://me:secret@images.example:99999/lab', 'http://images.example:99999/lab'],
  ['no address', 'no address'],
])('%s is shown as %s', (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
});
