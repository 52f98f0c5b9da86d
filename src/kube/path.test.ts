import { expect, test } from '@jest/globals';
import { kinds } from './kinds.ts';
import { all, at, key, partsOf } from './object.ts';
import { requestPath } from './path.ts';

test.each([
  { target: at(kinds.Secret, 'lab', 'keys'), path: '/api/v1/namespaces/lab/secrets/keys' },
  { target: all(kinds.Node), path: '/api/v1/nodes' },
  { target: at(kinds.Node, undefined, 'a'), path: '/api/v1/nodes/a' },
  { target: all(kinds.Farm), path: '/apis/bootfarm.io/v1alpha1/farms' },
  { target: all(kinds.Farm, 'lab'), path: '/apis/bootfarm.io/v1alpha1/namespaces/lab/farms' },
  { target: at(kinds.ConfigMap, 'lab', '../x?y'), path: '/api/v1/namespaces/lab/configmaps/..%2Fx%3Fy' },
])('the path of $target.kind $target.name is $path', ({ target, path }) => {
  expect(requestPath(target)).toBe(path);
});

test('a query carries what is set, and a subresource ends the path', () => {
  const query = { limit: 5, continue: '', labelSelector: undefined, force: true, fieldSelector: 'a=b' };
  expect(requestPath(at(kinds.Farm, 'lab', 'main'), query, 'status')).toBe(
    '/apis/bootfarm.io/v1alpha1/namespaces/lab/farms/main/status?limit=5&force=true&fieldSelector=a%3Db',
  );
});

test.each([
  { namespace: 'lab', name: 'main', is: 'lab/main' },
  { namespace: '', name: 'node-a', is: 'node-a' },
])('the key of $name in "$namespace" is $is, and back', ({ namespace, name, is }) => {
  expect(key(namespace, name)).toBe(is);
  expect(partsOf(is)).toEqual({ namespace, name });
});
