import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

/** Every installed package: `node_modules/a/node_modules/b` is another copy of b. */
const packages = Object.keys(
  (JSON.parse(readFileSync('package-lock.json', 'utf8')) as { readonly packages: object }).packages,
);
const copiesOf = (name: string) => packages.filter((path) => path.endsWith(`node_modules/${name}`));

test.each([
  { name: '@kubernetes/client-node', copies: 1, why: 'the operator library and we share one' },
  { name: '@dot-i/k8s-operator', copies: 1, why: 'our class extends it' },
  { name: 'undici', copies: 1, why: 'one implementation of HTTP' },
  { name: 'request', copies: 0, why: 'it is dead and has known holes' },
  { name: '@cypress/request', copies: 0, why: 'the same under another name' },
])('$name is installed $copies times: $why', ({ name, copies }) => {
  expect(copiesOf(name)).toHaveLength(copies);
});
