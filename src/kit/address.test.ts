import { isIPv4 } from 'node:net';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addressBytes, broadcastOf, ipv4Bytes, ipv4Text, kindOf, sameSubnet, unmapped } from './address.ts';

test.each([
  ['10.77.0.1', '10.77.0.254', 24, true],
  ['10.77.0.1', '10.77.1.1', 24, false],
  ['10.77.0.1', '10.77.1.1', 23, true],
  ['10.77.0.1', '192.168.0.1', 0, true],
  ['fd00::1', 'fd00::2', 64, true],
  ['fd00::1', 'fd01::1', 64, false],
  ['10.0.0.1', '::ffff:10.0.0.1', 0, false],
  ['x', '10.0.0.1', 0, false],
])('%s and %s in one /%i: %s', (a, b, prefix, same) => {
  expect(sameSubnet(a, b, prefix)).toBe(same);
});

test('IPv6 text of every form has 16 bytes', () => {
  for (const text of ['::', '::1', 'fe80::1%eth0', '1:2:3:4:5:6:7:8', '::ffff:10.0.0.1'])
    expect(addressBytes(text)).toHaveLength(16);
  expect(addressBytes('::ffff:10.0.0.1')?.slice(-4)).toEqual(Uint8Array.of(10, 0, 0, 1));
});

test.each(['', '1.2.3', '010.0.0.1', '1.2.3.256', '0x7f.0.0.1', '1.2.3.4.5', ' 1.2.3.4', '::1', 'localhost'])(
  '"%s" is no IPv4 address',
  (text) => {
    expect(ipv4Bytes(text)).toBeUndefined();
  },
);

test.each([
  ['10.88.4.11', '255.255.252.0', '10.88.7.255'],
  ['10.77.0.1', '255.255.255.0', '10.77.0.255'],
  ['10.77.0.1', '255.255.255.252', '10.77.0.3'],
  ['10.99.0.2', '255.255.255.254', undefined],
  ['10.99.0.2', '255.255.255.255', undefined],
  ['fd00::1', 'ffff:ffff:ffff:ffff::', undefined],
])('the broadcast of %s, mask %s, is %s', (address, netmask, broadcast) => {
  expect(broadcastOf(address, netmask)).toBe(broadcast);
});

test.each([
  ['10.0.0.1', 'one'],
  ['223.255.255.255', 'one'],
  ['224.0.0.1', 'many'],
  ['255.255.255.255', 'many'],
  ['0.0.0.1', 'many'],
  ['0.0.0.0', 'unspecified'],
  ['127.0.0.1', 'loopback'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['FF02::1', 'many'],
  ['fe80::1', 'one'],
] as const)('%s names %s', (address, kind) => {
  expect(kindOf(address)).toBe(kind);
});

test('an address that came through a socket of both families is the same', () => {
  expect([unmapped('::ffff:10.0.0.1'), unmapped('10.0.0.1'), unmapped('fe80::1')]).toEqual([
    '10.0.0.1',
    '10.0.0.1',
    'fe80::1',
  ]);
});

test('text and bytes are one another, wherever the bytes lie', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.nat({ max: 8 }), (text, at) => {
      const bytes = Buffer.concat([Buffer.alloc(at, 255), ipv4Bytes(text) ?? Buffer.of(), Buffer.alloc(3)]);
      expect(ipv4Text(bytes, at)).toBe(text);
      expect(isIPv4(ipv4Text(bytes, at))).toBe(true);
    }),
    { seed: 9 },
  );
});
