import { expect, test } from '@jest/globals';
import { notCarried } from './commandline.ts';

test.each([
  ['', undefined],
  ['quiet console=ttyS0', undefined],
  ['a&&b c||d e;f g#h $x {y} "q u"', undefined],
  ['x=$${y}', '${'],
  ['a=1 && b=2', ' && '],
  ['a ||', ' ||'],
  ['; a', '; '],
  ['a #b', ' #'],
  ['q="a  b"', '  '],
])('%p: %p is lost', (commandLine, lost) => {
  expect(notCarried(commandLine)).toBe(lost);
});
