import { expect, test } from '@jest/globals';
import { atTime, counted, lasting, sentence } from './words.ts';

test.each([
  [0, '0 s'],
  [4_900, '4 s'],
  [61_000, '1 min'],
  [3_600_000, '1 h'],
  [3_900_000, '1 h 5 min'],
  [90_000_000, '1 d 1 h'],
])('%d ms is %s', (ms, words) => expect(lasting(ms)).toBe(words));

test('a count has its thing in the right number', () => {
  expect([counted(1, 'device'), counted(1_200, 'device'), counted(2, 'copy', 'copies')]).toEqual([
    '1 device',
    '1,200 devices',
    '2 copies',
  ]);
});

test('a message becomes a sentence', () => {
  expect([sentence('node-b does not answer'), sentence('Done.'), sentence(' ')]).toEqual([
    'Node-b does not answer.',
    'Done.',
    '',
  ]);
});

test('a time of another day has its day', () => {
  const now = new Date(2026, 10, 30, 12).getTime();
  expect(atTime(now - 60_000, now)).toBe('11:59:00');
  expect(atTime(now - 86_400_000, now)).toMatch(/^29 Nov,? 12:00$/);
  expect(atTime(Number.NaN, now)).toBe('at an unknown time');
});
