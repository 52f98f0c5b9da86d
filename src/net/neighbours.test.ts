import { expect, test } from '@jest/globals';
import { macsIn, Neighbours } from './neighbours.ts';

const TABLE = `IP address       HW type     Flags       HW address            Mask     Device
10.88.0.21       0x1         0x2         52:54:00:00:00:01     *        boot
10.88.0.22       0x1         0x0         00:00:00:00:00:00     *        boot
10.88.0.23       0x1         0x6         52:54:00:AB:00:02     *        boot
`;

test.each([
  ['a neighbour', '10.88.0.21', '52:54:00:00:00:01'],
  ['one that does not answer', '10.88.0.22', undefined],
  ['one that a person entered, in capitals', '10.88.0.23', '52:54:00:ab:00:02'],
  ['one that is not there', '10.88.0.2', undefined],
])('%s', (_, address, mac) => {
  expect(macsIn(TABLE).get(address)).toBe(mac);
});

test('an empty table has nobody', () => expect(macsIn('').size).toBe(0));

test('a hundred questions at once are two readings, and none is answered by one that began before it', async () => {
  const readings: PromiseWithResolvers<string>[] = [];
  const neighbours = new Neighbours(() => {
    const reading = Promise.withResolvers<string>();
    readings.push(reading);
    return reading.promise;
  });
  const first = neighbours.macOf('10.88.0.21');
  const others = Array.from({ length: 100 }, () => neighbours.macOf('10.88.0.21'));
  readings[0]?.resolve('');
  expect(await first).toBeUndefined();
  while (readings.length < 2) await new Promise(setImmediate);
  readings[1]?.resolve(TABLE);
  expect(new Set(await Promise.all(others))).toEqual(new Set(['52:54:00:00:00:01']));
  expect(readings).toHaveLength(2);
});
