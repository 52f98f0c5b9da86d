import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

interface Lock {
  /** Every package by its place: `node_modules/a/node_modules/b` is another copy of b; '' is this project. */
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
}

const lock: Lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const packages = Object.keys(lock.packages);
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

// npm 11.19 writes an optional package that its registry lacks without a version, and refuses the whole file once the registry has it.
test('the lock file gives every package its version and digest', () => {
  const incomplete = Object.entries(lock.packages).filter(
    ([path, { version, integrity }]) => path !== '' && !(version && integrity),
  );
  expect(incomplete.map(([path]) => path)).toEqual([]);
});
