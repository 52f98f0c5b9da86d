import { describe, expect, test } from '@jest/globals';
import { aSnapshot } from '../../test/builders/farm.ts';
import { type AutoAddFacts, HEARD_MS, Heard, MAX_HEARD, mayAutoAdd } from './autoadd.ts';

const MAC = '52:54:00:00:00:99';
const autoAdd = { collection: 'room-101', namePrefix: 'pc', digits: 4, maxDevices: 1_000, maxPerMinute: 10 };
const { autoAdd: _, ...bare } = aSnapshot().farm;

test.each<{ what: string; facts: Partial<AutoAddFacts>; is: string; says?: string }>([
  { what: 'a machine that was heard', facts: {}, is: 'added' },
  { what: 'one whose farm does not say how', facts: { farm: bare }, is: 'AutoAddUnset', says: 'spec.autoAdd' },
  {
    what: 'one that nobody heard',
    facts: { heard: false },
    is: 'AutoAddNotHeard',
    says: `device add NAME --mac ${MAC}`,
  },
  { what: 'the tenth of a minute', facts: { addedLately: 9 }, is: 'added' },
  { what: 'the eleventh', facts: { addedLately: 10 }, is: 'AutoAddTooFast', says: 'spec.autoAdd.maxPerMinute' },
])('$what: $is', ({ facts, is, says = '' }) => {
  const may = mayAutoAdd({ farm: { ...bare, autoAdd }, mac: MAC, heard: true, addedLately: 0, ...facts });
  expect(may.ok ? 'added' : may.error.code).toBe(is);
  expect(may.ok ? '' : may.error.message).toContain(says);
});

describe('a machine is heard', () => {
  const asker = { mac: MAC, address: '10.0.0.9' };
  test('by DHCP, whatever address it has then', () => {
    const heard = new Heard();
    expect(heard.has(asker, 0)).toBe(false);
    heard.byDhcp(MAC, 0);
    expect([heard.has({ mac: MAC }, 1), heard.has({ ...asker, mac: '52:54:00:00:00:98' }, 1)]).toEqual([true, false]);
  });

  test('by TFTP at its address, where its site’s DHCP server names the boot file', () => {
    const heard = new Heard();
    heard.byTftp(asker.address, 0);
    expect([heard.has(asker, 1), heard.has({ ...asker, address: '10.0.0.8' }, 1), heard.has({ mac: MAC }, 1)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('for so long', () => {
    const heard = new Heard();
    heard.byDhcp(MAC, 0);
    expect([heard.has(asker, HEARD_MS - 1), heard.has(asker, HEARD_MS)]).toEqual([true, false]);
  });

  test('for as long as it asks, and by an address for nobody else', () => {
    const other = { ...asker, mac: '52:54:00:00:00:98' };
    const heard = new Heard();
    heard.byTftp(asker.address, 0);
    heard.asks(asker, HEARD_MS - 1);
    expect([heard.has(asker, HEARD_MS + 1), heard.has(other, HEARD_MS - 1)]).toEqual([true, false]);
    heard.byTftp(asker.address, HEARD_MS);
    heard.asks(asker, HEARD_MS);
    expect(heard.has(other, HEARD_MS)).toBe(true);
  });

  test('until many others were: the table has an end', () => {
    const heard = new Heard();
    heard.byDhcp(MAC, 0);
    for (let n = 0; n < MAX_HEARD; n += 1) heard.byDhcp(`made up ${n}`, 0);
    expect([heard.has(asker, 1), heard.has({ mac: 'made up 0' }, 1)]).toEqual([false, true]);
  });
});
