import { expect, test } from '@jest/globals';
import { seenBy, type View } from './events.ts';
import type { Change } from './watch.ts';

const view: View = { kinds: new Set(['devices', 'farms']), within: new Map([['devices', new Set(['a'])]]) };
const GONE = { kind: 'devices', name: 'pc' } as const;
const THERE = { ...GONE, value: {} } as const;

test.each<[string, Change, object | undefined]>([
  ['of their collection', { ...THERE, collection: 'a' }, THERE],
  ['of another one', { ...THERE, collection: 'b' }, undefined],
  ['that left theirs', { ...THERE, collection: 'b', was: 'a' }, GONE],
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
  expect(seenBy(view, change)).toEqual(told);
});
