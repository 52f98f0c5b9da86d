import { describe, expect, test } from '@jest/globals';
import { FakeInformer } from '../../test/fakes/informer.ts';
import type { Informer } from './informer.ts';
import { joinInformers } from './informers.ts';
import type { KubeObject } from './object.ts';

const object = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name, uid: `${namespace}/${name}`, resourceVersion: '1' },
});
const view = (informer: FakeInformer): Informer => informer as unknown as Informer;

describe('informers of two namespaces, as one', () => {
  const [a, b] = [new FakeInformer(undefined, 'a'), new FakeInformer(undefined, 'b')];
  const both = joinInformers([view(a), view(b)]);

  test('is synced when all are', async () => {
    a.learn({ kind: 'Snapshot', objects: [object('a', 'one')] });
    expect([both.isSynced, both.isSyncedIn('a'), both.isSyncedIn('b')]).toEqual([false, true, false]);
    b.learn({ kind: 'Snapshot', objects: [object('b', 'one')] });
    expect([both.isSynced, both.isSyncedIn('b')]).toEqual([true, true]);
    expect(await both.synced).toBe(true);
  });

  test('has the objects of each, and tells of each', () => {
    const heard: (string | undefined)[] = [];
    const end = both.onDelta(({ object: { metadata } }) => heard.push(metadata.namespace));
    expect(both.list().map(({ metadata }) => metadata.namespace)).toEqual(['a', 'b']);
    expect(both.get('b/one')?.metadata.namespace).toBe('b');
    expect(both.get('c/one')).toBeUndefined();
    b.put(object('b', 'two'));
    expect(heard).toEqual(['a', 'b', 'b']);
    end();
    a.put(object('a', 'two'));
    expect(heard).toHaveLength(3);
    expect([a.handlers, b.handlers]).toEqual([0, 0]);
  });

  test('one of all namespaces is synced in each', () => {
    const all = new FakeInformer();
    const one = joinInformers([view(all)]);
    expect(one.isSyncedIn('a')).toBe(false);
    all.learn({ kind: 'Snapshot', objects: [] });
    expect(one.isSyncedIn('a')).toBe(true);
  });
});
