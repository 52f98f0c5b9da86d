import { expect, test } from '@jest/globals';
import { bufferFault } from './transport.ts';

const ASKED = 4 << 20;
const OLD_DEFAULT = 212_992;

/** What the kernel says is twice what it grants. */
test.each([
  { what: 'all that was asked for', receiveMost: 2 * ASKED, sendMost: 2 * ASKED, says: [] },
  { what: 'more', receiveMost: 4 * ASKED, sendMost: 4 * ASKED, says: [] },
  {
    what: 'a small send buffer',
    receiveMost: 2 * ASKED,
    sendMost: 2 * OLD_DEFAULT,
    says: ['net.core.wmem_max is 212992', 'sysctl -w net.core.wmem_max=4194304'],
  },
  {
    what: 'the defaults before Linux 6.15',
    receiveMost: 2 * OLD_DEFAULT,
    sendMost: 2 * OLD_DEFAULT,
    says: ['net.core.rmem_max is 212992', 'sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304'],
  },
])('the kernel grants $what', ({ receiveMost, sendMost, says }) => {
  const fault = bufferFault({ receiveMost, sendMost }, ASKED);
  expect(fault?.code).toBe(says.length === 0 ? undefined : 'BufferTooSmall');
  for (const text of says) expect(fault?.message).toContain(text);
});
