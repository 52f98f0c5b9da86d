import { expect, test } from '@jest/globals';
import { badSource, type Interfaces, ownOf } from './source.ts';

const interfaces: Interfaces = {
  lo: [
    { address: '127.0.0.1', netmask: '255.0.0.0' },
    { address: '::1', netmask: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' },
  ],
  boot: [{ address: '10.88.4.11', netmask: '255.255.252.0' }],
  pair: [{ address: '10.99.0.2', netmask: '255.255.255.254' }],
};
const boot = ownOf('10.88.4.11', [67, 4011], interfaces);
const loopback = ownOf('127.0.0.1', [69], interfaces);
const every = ownOf('0.0.0.0', [6910], interfaces);

test.each([
  ['a machine of the network', '10.88.4.77', 2070, boot, undefined],
  ['a machine behind a router', '192.168.7.7', 68, boot, undefined],
  ['IPv6', 'fe80::1', 2070, boot, undefined],
  ['port 0', '10.88.4.77', 0, boot, 'PortZero'],
  ['the limited broadcast', '255.255.255.255', 68, boot, 'NotUnicast'],
  ['the broadcast of our network', '10.88.7.255', 68, boot, 'NotUnicast'],
  ['an address that ends in 255 and is none', '10.88.5.255', 68, boot, undefined],
  ['a network of two addresses has no broadcast', '10.99.0.3', 68, ownOf('10.99.0.2', [67], interfaces), undefined],
  ['multicast', '224.0.0.1', 68, boot, 'NotUnicast'],
  ['IPv6 multicast', 'ff02::1', 68, boot, 'NotUnicast'],
  ['reserved', '240.0.0.1', 68, boot, 'NotUnicast'],
  ['this network', '0.0.0.7', 68, boot, 'NotUnicast'],
  ['no address', '0.0.0.0', 68, boot, 'NotUnicast'],
  ['no IPv6 address', '::', 68, boot, 'NotUnicast'],
  ['one of our ports', '10.88.4.11', 4011, boot, 'Own'],
  ['our own question, from another port', '10.88.4.11', 40_000, boot, undefined],
  ['our port of somebody else', '10.88.4.77', 67, boot, undefined],
  ['loopback from the network', '127.0.0.1', 68, boot, 'Loopback'],
  ['any of loopback', '127.9.9.9', 68, boot, 'Loopback'],
  ['loopback in the clothes of IPv6', '::ffff:127.0.0.1', 68, boot, 'Loopback'],
  ['IPv6 loopback', '::1', 68, boot, 'Loopback'],
  ['loopback at a socket of loopback', '127.0.0.1', 40_000, loopback, undefined],
  ['loopback at a socket of every address', '127.0.0.1', 40_000, every, undefined],
  ['a socket of every address: one of its own', '10.88.4.11', 6910, every, 'Own'],
  ['a socket of every address: one of its broadcasts', '10.88.7.255', 40_000, every, 'NotUnicast'],
])('%s', (_, address, port, own, expected) => {
  expect(badSource({ address, port }, own)).toBe(expected);
});

test('who has no address yet is heard where that is usual, and nowhere by port 0', () => {
  expect(badSource({ address: '0.0.0.0', port: 68 }, boot, true)).toBeUndefined();
  expect(badSource({ address: '0.0.0.0', port: 0 }, boot, true)).toBe('PortZero');
});
