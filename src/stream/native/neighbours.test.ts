import { expect, test } from '@jest/globals';
import { silentNeighbours } from './neighbours.ts';

/** As Linux 6.18 writes it. */
const TABLE = `IP address       HW type     Flags       HW address            Mask     Device
10.99.0.2        0x1         0x2         52:54:00:00:00:02     *        boot
10.99.0.3        0x1         0x0         00:00:00:00:00:00     *        boot
10.99.0.4        0x1         0x6         52:54:00:00:00:04     *        boot
10.99.0.5        0x1         0x0         52:54:00:00:00:05     *        boot
`;

test.each([
  ['who does not answer, or has stopped to', TABLE, ['10.99.0.3', '10.99.0.5']],
  ['an empty table', TABLE.split('\n')[0] ?? '', []],
  ['no table', '', []],
  ['a line that is cut', `${TABLE}10.99.0.6   0x1`, ['10.99.0.3', '10.99.0.5']],
])('%s', (_, table, silent) => {
  expect([...silentNeighbours(table)]).toEqual(silent);
});
