import { expect, test } from '@jest/globals';
import { bufferFault } from './transport.ts';

const MIB = 1 << 20;
const OLD_DEFAULT = 212_992;

/** What the kernel says is twice what it grants. */
test.each([
  { what: '4 MiB, and 10,000 devices', receive: 4 * MIB, send: 4 * MIB, devices: 10_000, says: [] },
  {
    what: '4 MiB, and 20,000 devices',
    receive: 4 * MIB,
    send: 4 * MIB,
    devices: 20_000,
    says: ['net.core.rmem_max is 4194304, 8320000 is needed', 'sysctl -w net.core.rmem_max=8320000,'],
  },
  {
    what: '4 MiB to each of two threads, and 20,000',
    receive: 8 * MIB,
    send: 4 * MIB,
    threads: 2,
    devices: 20_000,
    says: [],
  },
  { what: 'the old default, and 500 devices', receive: OLD_DEFAULT, send: 4 * MIB, devices: 500, says: [] },
  {
    what: 'the old default of a send buffer, whoever is there',
    receive: OLD_DEFAULT,
    send: OLD_DEFAULT,
    devices: 0,
    says: ['net.core.wmem_max is 212992, 4194304 is needed', 'sysctl -w net.core.wmem_max=4194304,'],
  },
  {
    what: 'the old defaults, and 600 devices',
    receive: OLD_DEFAULT,
    send: OLD_DEFAULT,
    devices: 600,
    says: ['a burst of 600 devices', 'sysctl -w net.core.rmem_max=249600 net.core.wmem_max=4194304,'],
  },
])('the kernel grants $what', ({ receive, send, threads = 1, devices, says }) => {
  const fault = bufferFault({ receiveBytes: 2 * receive, receiveDrops: 0, sendBytes: 2 * send }, threads, devices);
  expect(fault?.code).toBe(says.length === 0 ? undefined : 'BufferTooSmall');
  for (const text of says) expect(fault?.message).toContain(text);
});
