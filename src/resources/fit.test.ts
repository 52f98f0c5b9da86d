import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Compile } from 'typebox/compile';
import { fitStatus } from './fit.ts';
import { KINDS, type KindName } from './kinds.ts';

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Every text, list and number of a status: within its bound, at it, one beyond, far beyond. */
function beyond({
  type,
  enum: words,
  properties,
  additionalProperties,
  items,
  ...bound
}: Schema): fc.Arbitrary<unknown> {
  if (words) return fc.constantFrom(...words);
  switch (type) {
    case 'string': {
      const { maxLength = 64, pattern, format } = bound;
      if (format) return fc.constantFrom('2026-01-02T03:04:05Z', 'yesterday');
      if (pattern?.includes('0-9a-f]{64}')) return fc.constantFrom('a'.repeat(64), 'a'.repeat(65), '');
      const lengths = fc.constantFrom(0, 1, maxLength, maxLength + 1, 3 * maxLength);
      return fc.tuple(lengths, fc.constantFrom('a', 'é', '😀')).map(([length, character]) => character.repeat(length));
    }
    case 'integer':
    case 'number': {
      const { minimum = 0, maximum = 1 } = bound;
      return fc.constantFrom(minimum, maximum, minimum - 1, maximum * 2, (minimum + maximum) / 2, 0.5, Number.NaN);
    }
    case 'boolean':
      return fc.boolean();
    case 'array': {
      const { maxItems = 1 } = bound;
      const length = fc.constantFrom(0, 1, Math.min(maxItems, 40), maxItems + 1);
      // A few items, again and again: keys repeat, and the largest lists stay cheap.
      return fc
        .tuple(length, fc.array(beyond(items ?? {}), { minLength: 1, maxLength: 3 }))
        .map(([count, some]) =>
          Array.from({ length: count }, (_, index) => numbered(some[index % some.length], index)),
        );
    }
    case 'object': {
      const made = Object.entries(properties ?? {}).map(([name, inner]) => [name, beyond(inner)] as const);
      if (additionalProperties)
        return fc.dictionary(fc.string({ maxLength: 4 }), beyond(additionalProperties), { maxKeys: 40 });
      return fc.record(Object.fromEntries(made));
    }
    default:
      return fc.constant('1Gi');
  }
}

/** Half of the items have a name of their own. */
const numbered = (item: unknown, index: number): unknown =>
  index % 2 === 0 && typeof item === 'object' && item !== null && 'name' in item
    ? { ...item, name: `n${index}` }
    : item;

const names = Object.keys(KINDS) as KindName[];

describe.each(names)('a status of %s', (kind) => {
  const check = Compile(KINDS[kind].status);

  test('is within its schema, whatever was found', () => {
    fc.assert(
      fc.property(beyond(KINDS[kind].status as Schema), (status) => {
        const fitted = fitStatus(kind, status as never);
        const [first] = check.Check(fitted) ? [] : check.Errors(fitted);
        expect(first).toBeUndefined();
        expect(fitStatus(kind, fitted)).toBe(fitted);
      }),
      { seed: 9, numRuns: 40 },
    );
  });
});

describe('what is cut', () => {
  const server = (more: object) => ({ name: 'node-a', state: 'Refused', ...more }) as never;
  const fitted = (...servers: never[]) => fitStatus('StreamingServer', { servers }).servers;

  test.each([
    { what: 'a text at its bound stays', message: 'm'.repeat(1_024), kept: 'm'.repeat(1_024) },
    { what: 'one beyond ends with a sign', message: 'm'.repeat(1_025), kept: `${'m'.repeat(1_023)}…` },
    { what: 'characters are code points', message: '😀'.repeat(1_024), kept: '😀'.repeat(1_024) },
    { what: 'and are not halved', message: '😀'.repeat(1_025), kept: `${'😀'.repeat(1_023)}…` },
  ])('$what', ({ message, kept }) => {
    expect(fitted(server({ message }))).toEqual([{ name: 'node-a', state: 'Refused', message: kept }]);
  });

  test('a number beyond its bound is at it; what is no digest is left out; the server stays', () => {
    expect(fitted(server({ loadPercent: 2e9, bootstrapHash: 'none', powerRating: 0 }))).toEqual([
      { name: 'node-a', state: 'Refused', loadPercent: 10_000, powerRating: 0.1 },
    ]);
  });

  test('a server without a name that fits is left out, and so is one that is there twice', () => {
    expect(fitted(server({ name: 'x'.repeat(300) }), server({}), server({ state: 'Streaming' }))).toEqual([server({})]);
  });

  test('a status that fits is the same object', () => {
    const status = { servers: [server({ message: 'a port is taken' })] };
    expect(fitStatus('StreamingServer', status)).toBe(status);
  });
});
