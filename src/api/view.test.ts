import { expect, test } from '@jest/globals';
import { isSameView, numberOf, seenBy, toldOf, type View } from './view.ts';
import type { Change, ChangeKind } from './watch.ts';

const view: View = { kinds: new Set(['devices', 'farms']), within: new Map([['devices', new Set(['a'])]]) };
const GONE = { kind: 'devices', name: 'pc' } as const;
const THERE = { ...GONE, value: {} } as const;

test.each<[string, Change, object | undefined]>([
  ['of their collection', { ...THERE, collection: 'a' }, THERE],
  ['of another one', { ...THERE, collection: 'b' }, undefined],
  ['that left theirs', { ...THERE, collection: 'b', from: ['a'] }, GONE],
  ['that left theirs, and went on from there', { ...THERE, collection: 'c', from: ['a', 'b'] }, GONE],
  ['that left theirs and came back', { ...THERE, collection: 'a', from: ['a', 'b'] }, THERE],
  ['that left theirs before it was removed', { ...GONE, collection: 'b', from: ['a', 'b'] }, GONE],
  ['that moved elsewhere', { ...THERE, collection: 'c', from: ['b'] }, undefined],
  ['that went from theirs', { ...GONE, collection: 'a' }, GONE],
  ['that went from another one', { ...GONE, collection: 'b' }, undefined],
  ['that went from nobody knows where', { ...GONE, collection: null }, undefined],
  [
    'of a kind that has no collections',
    { kind: 'farms', name: 'farm', value: {} },
    { kind: 'farms', name: 'farm', value: {} },
  ],
  ['of a kind that they may not watch', { kind: 'stores', name: 's', value: {} }, undefined],
])('what is told of a thing %s', (_, change, told) => {
  expect(seenBy(view, toldOf(change))).toEqual(told && JSON.stringify(told));
});

test.each<[string | undefined, number | undefined]>([
  ['s.0', 0],
  ['s.12', 12],
  [undefined, undefined],
  ['s', undefined],
  ['s.', undefined],
  ['s.x', undefined],
  ['s.-1', undefined],
  ['s.1.2', undefined],
  ['s.1e3', undefined],
  ['other.1', undefined],
])('what was heard last, %s, is number %s', (lastEventId, number) => {
  expect(numberOf(lastEventId, 's')).toBe(number);
});

const viewOf = (kinds: readonly ChangeKind[], devices?: readonly string[]): View => ({
  kinds: new Set(kinds),
  within: new Map(devices ? [['devices', new Set(devices)]] : []),
});
test.each<[View, boolean]>([
  [viewOf(['farms', 'devices'], ['b', 'a']), true],
  [viewOf(['devices'], ['a', 'b']), false],
  [viewOf(['devices', 'farms', 'audit' as ChangeKind], ['a', 'b']), false],
  [viewOf(['devices', 'farms'], ['a']), false],
  [viewOf(['devices', 'farms'], ['a', 'c']), false],
  [viewOf(['devices', 'farms']), false],
])('a view is the same where kinds and collections are: %#', (other, isSame) => {
  const one = viewOf(['devices', 'farms'], ['a', 'b']);
  expect([isSameView(one, other), isSameView(other, one)]).toEqual([isSame, isSame]);
});
