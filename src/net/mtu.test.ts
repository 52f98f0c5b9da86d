import { expect, test } from '@jest/globals';
import { type Interfaced, mtuOf } from './mtu.ts';

const at = (address: string) => [{ address, netmask: '255.255.255.0' }];
const node = (files: Record<string, string>): Interfaced => ({
  interfaces: () => ({ lo: at('127.0.0.1'), wg0: at('10.0.0.11'), 'eth0:boot': at('10.1.0.11') }),
  read: (name) => {
    const text = files[name];
    if (text === undefined) throw new Error('ENOENT');
    return text;
  },
});

test.each<[string, string, Record<string, string>, number | undefined]>([
  ['of the interface that has the address', '10.0.0.11', { wg0: '1420\n', eth0: '1500\n' }, 1_420],
  ['of the interface of an alias', '10.1.0.11', { eth0: '9000\n' }, 9_000],
  ['of no interface', '10.2.0.11', { eth0: '1500\n' }, undefined],
  ['where the kernel does not say', '10.0.0.11', {}, undefined],
  ['where it says no number', '10.0.0.11', { wg0: 'x' }, undefined],
  ['where it says nothing', '10.0.0.11', { wg0: '' }, undefined],
])('the MTU %s', (_, address, files, expected) => {
  expect(mtuOf(address, () => 0, node(files))()).toBe(expected);
});

test('it is looked at again after a while, not at each question', () => {
  const files = { wg0: '1500' };
  let nowMs = 0;
  const mtu = mtuOf('10.0.0.11', () => nowMs, node(files));
  files.wg0 = '1450';
  nowMs = 9_999;
  expect(mtu()).toBe(1_500);
  nowMs = 10_000;
  expect(mtu()).toBe(1_450);
});
