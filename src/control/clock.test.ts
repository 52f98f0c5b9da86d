import { expect, test } from '@jest/globals';
import { clockFault, type Skew } from './clock.ts';

const skews = (...ms: readonly number[]): Skew[] => ms.map((skewMs, index) => ({ name: `node-${index}`, skewMs }));

test.each([
  { what: 'has no peers', of: skews(), says: undefined },
  { what: 'is right', of: skews(0, 12, -7), says: undefined },
  { what: 'is at the limit', of: skews(5_000, 5_000), says: undefined },
  { what: 'is right, and one peer is not', of: skews(0, 3_600_000, 0), says: undefined },
  {
    what: 'is behind',
    of: skews(7_000, 7_400),
    says: 'node-a is at least 5 s behind the median of its peers (node-0 +5 s, node-1 +5 s): let NTP',
  },
  {
    what: 'is ahead',
    of: skews(-60_000, -60_000, 1, -60_000, -60_000),
    says: 'node-a is at least 60 s ahead of the median of its peers (node-0 -60 s, node-1 -60 s, node-2 +0 s, and 2 more)',
  },
  { what: 'differs from its only peer', of: skews(9_000), says: 'of that node, or of the other, whichever is wrong' },
])('a server that $what: $says', ({ of, says }) => {
  const fault = clockFault('node-a', of);
  if (says === undefined) expect(fault).toBeUndefined();
  else expect(fault).toMatchObject({ code: 'ClockSkew', advisory: true, message: expect.stringContaining(says) });
});
