import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Order, orderOf, pageOf } from './page.ts';

interface Row {
  readonly name: string;
  readonly collection: string;
}
const at = (field: string) => (row: Row) => ({ key: field === 'name' ? row.name : row.collection, name: row.name });
const order = (query: Parameters<typeof orderOf>[0]): Order => {
  const read = orderOf(query, ['name', 'collection']);
  if (!read.ok) throw new Error(read.error.message);
  return read.value;
};

describe('what is wrong with a query', () => {
  test.each([
    [{ sort: 'colour' }, /query.sort "colour": must be one of name, collection/],
    [{ continue: 'xyz' }, /query.continue "xyz": is of no page that is sorted by name/],
    [{ continue: Buffer.from('["collection","a","b"]').toString('base64url') }, /sorted by name/],
    [{ continue: Buffer.from('["name","a\\u0000","b"]').toString('base64url') }, /sorted by name/],
    [{ continue: Buffer.from('["name","a","\\ud800"]').toString('base64url') }, /sorted by name/],
    [{ continue: Buffer.from('[]').toString('base64url'), sort: '-name' }, /sorted by -name/],
  ])('%j', (query, says) => {
    const read = orderOf(query, ['name', 'collection']);
    expect(read.ok ? '' : read.error.message).toMatch(says);
  });
});

test('page by page comes each row once, in order, whatever the order and the size of a page', () => {
  const rows = fc.uniqueArray(
    fc.record({ name: fc.stringMatching(/^[a-z0-9-]{1,4}$/), collection: fc.constantFrom('a', 'b', 'c') }),
    {
      selector: ({ name }) => name,
    },
  );
  fc.assert(
    fc.property(
      rows,
      fc.constantFrom('name', '-name', 'collection', '-collection'),
      fc.integer({ min: 1, max: 5 }),
      (all, sort, limit) => {
        const field = sort.replace('-', '');
        const walked: Row[] = [];
        let cursor: string | undefined;
        do {
          const page = pageOf(
            all,
            order({ sort, limit, ...(cursor === undefined ? {} : { continue: cursor }) }),
            at(field),
          );
          expect(page.items.length).toBeLessThanOrEqual(limit);
          walked.push(...page.items);
          cursor = page.continue;
        } while (cursor !== undefined);
        const keys = walked.map(({ name, collection }) => (field === 'name' ? name : `${collection} ${name}`));
        const sorted = [...keys].sort();
        expect(keys).toEqual(sort.startsWith('-') ? sorted.reverse() : sorted);
        expect(walked).toHaveLength(all.length);
      },
    ),
  );
});
