import { expect, test } from '@jest/globals';
import { readGolden, readingOf } from '../../test/golden/golden.ts';
import { decode, encode } from './packet.ts';

const packets = ['bios', 'uefi'].flatMap((name) =>
  readGolden(name)
    .filter(({ protocol }) => protocol === 'tftp')
    .map((packet) => [name, packet.way, packet] as const),
);

test.each(packets)('%s: %s reads as written down, and comes back byte for byte', (_, __, { bytes, reading }) => {
  expect(readingOf('tftp', bytes)).toEqual(reading);
  const decoded = decode(bytes);
  expect(decoded.ok && encode(decoded.value).toString('hex')).toBe(bytes.toString('hex'));
});

test('in a larger buffer they read the same, and cut anywhere they are packets or faults', () => {
  for (const [, , { bytes }] of packets) {
    const larger = Buffer.concat([Buffer.alloc(5, 0xa5), bytes, Buffer.alloc(3, 0x5a)]);
    expect(decode(larger.subarray(5, 5 + bytes.length))).toEqual(decode(bytes));
    for (let length = 0; length < bytes.length; length += 1)
      expect(typeof decode(bytes.subarray(0, length)).ok).toBe('boolean');
  }
});
