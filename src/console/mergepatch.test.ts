import { expect, test } from '@jest/globals';
import { assert, dictionary, jsonValue, property, string } from 'fast-check';
import { mergePatchOf } from './mergepatch.ts';

test.each<[unknown, unknown, unknown]>([
  [{ a: 1 }, { a: 1 }, undefined],
  [{ a: 1, b: 2 }, { a: 1, b: 3 }, { b: 3 }],
  [{ a: 1, b: 2 }, { a: 1 }, { b: null }],
  [{ a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }, { a: { c: 3 } }],
  [{ a: [1, 2] }, { a: [2, 1] }, { a: [2, 1] }],
  [{ a: [{ x: 1, y: 2 }] }, { a: [{ y: 2, x: 1 }] }, undefined],
  [{ a: 1 }, { a: { b: 1 } }, { a: { b: 1 } }],
])('%j to %j is %j', (before, after, patch) => expect(mergePatchOf(before, after)).toEqual(patch));

/** RFC 7396 §2. */
function applied(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const into = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  const fields = into as Record<string, unknown>;
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete fields[key];
    else fields[key] = applied(fields[key], value);
  }
  return fields;
}

const withoutNulls = (value: unknown): unknown =>
  Array.isArray(value) || typeof value !== 'object' || value === null
    ? value
    : Object.fromEntries(
        Object.entries(value).flatMap(([key, inner]) => (inner === null ? [] : [[key, withoutNulls(inner)]])),
      );

test('a patch that is applied gives what was wanted', () => {
  const spec = dictionary(string({ maxLength: 3 }), jsonValue({ maxDepth: 3 })).map(withoutNulls);
  assert(
    property(spec, spec, (before, after) => {
      const patch = mergePatchOf(before, after);
      expect(patch === undefined ? before : applied(before, patch)).toEqual(after);
    }),
    { seed: 16 },
  );
});
