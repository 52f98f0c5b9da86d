import { expect, test } from '@jest/globals';
import { askedMacs, isBootAnswer, isUnknownAnswer } from './boots.ts';

test.each([
  ['mac=52:54:00:00:00:01', ['52:54:00:00:00:01']],
  ['mac=52-54-00-00-00-01&mac=525400000002&x=1', ['52:54:00:00:00:01', '52:54:00:00:00:02']],
  ['', /0 MACs: .*1 to 8/],
  [Array.from({ length: 9 }, () => 'mac=525400000001').join('&'), /9 MACs/],
  ['mac=525400000001&mac=pc1', /mac=pc1 is no MAC/],
])('a question of %j', (query, wanted) => {
  const macs = askedMacs(new URLSearchParams(query));
  if (wanted instanceof RegExp) expect(macs).toMatchObject({ error: { message: expect.stringMatching(wanted) } });
  else expect(macs).toEqual({ ok: true, value: wanted });
});

test('an answer of another shape is none, and what a later release adds to it is passed over', () => {
  const step = { step: 'discover', server: 'a', at: 1, lastAt: 1, times: 1 };
  const record = { mac: '52:54:00:00:00:01', known: true, firstAt: 1, lastAt: 1, boots: [{ steps: [step] }] };
  expect(isBootAnswer({ records: [{ ...record, more: 1 }] })).toBe(true);
  expect(isBootAnswer({ records: [{ ...record, boots: [{ steps: [] }] }] })).toBe(false);
  expect(isBootAnswer({ code: 'NotFound' })).toBe(false);
  const machine = { mac: record.mac, firstAt: 1, lastAt: 1, step: 'discover', servers: ['a'] };
  expect(isUnknownAnswer({ machines: [machine], more: 0 })).toBe(true);
  expect(isUnknownAnswer({ machines: [{ ...machine, step: 'dance' }], more: 0 })).toBe(false);
});
