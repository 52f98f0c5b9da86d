import { expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import { Cache } from './cache.ts';

const a1 = anObject({ name: 'a', resourceVersion: '1' });
const a2 = anObject({ name: 'a', resourceVersion: '2' });
const b1 = anObject({ name: 'b', resourceVersion: '1', uid: 'uid-b' });

test('a put is an addition, then an update, and no news when it is known', () => {
  const cache = new Cache();
  expect(cache.take({ kind: 'Put', object: a1 })).toEqual([{ kind: 'Added', object: a1 }]);
  expect(cache.take({ kind: 'Put', object: a1 })).toEqual([]);
  expect(cache.take({ kind: 'Put', object: a2 })).toEqual([{ kind: 'Updated', object: a2, previous: a1 }]);
  expect(cache.get('lab/a')).toEqual(a2);
});

test('a removal is told once', () => {
  const cache = new Cache();
  cache.take({ kind: 'Put', object: a1 });
  expect(cache.take({ kind: 'Remove', object: a2 })).toEqual([{ kind: 'Deleted', object: a2 }]);
  expect(cache.take({ kind: 'Remove', object: a2 })).toEqual([]);
  expect(cache.size).toBe(0);
});

test('a snapshot deletes what it does not name, and tells only what changed', () => {
  const cache = new Cache();
  cache.take({ kind: 'Snapshot', objects: [a1, b1] });
  expect(cache.take({ kind: 'Snapshot', objects: [a2] })).toEqual([
    { kind: 'Deleted', object: b1 },
    { kind: 'Updated', object: a2, previous: a1 },
  ]);
});

test('an object that was deleted and made again unseen is both', () => {
  const cache = new Cache();
  const again = anObject({ name: 'a', resourceVersion: '9', uid: 'another' });
  cache.take({ kind: 'Put', object: a1 });
  expect(cache.take({ kind: 'Snapshot', objects: [again] })).toEqual([
    { kind: 'Deleted', object: a1 },
    { kind: 'Added', object: again },
  ]);
});

test('managedFields are not kept', () => {
  const cache = new Cache();
  cache.take({ kind: 'Put', object: { ...a1, metadata: { ...a1.metadata, managedFields: [] } as typeof a1.metadata } });
  expect(cache.get('lab/a')).toEqual(a1);
});
