import { expect, test } from '@jest/globals';
import { array, assert, constantFrom, dictionary, property, record, string } from 'fast-check';
import { hashOf, PAGES, placeOf } from './route.ts';

test('a place is found again by its hash', () => {
  const text = string({ minLength: 1, unit: 'grapheme' });
  assert(
    property(
      record({
        namespace: text,
        farm: text,
        page: constantFrom(...PAGES),
        rest: array(text, { maxLength: 2 }),
        query: dictionary(constantFrom('search', 'collection'), text),
      }),
      (place) => expect(placeOf(hashOf(place))).toEqual({ ...place, query: { ...place.query } }),
    ),
    { seed: 16 },
  );
});

test.each(['', '#', '#/', '#/lab', '#//farm'])('%s is no place', (hash) => expect(placeOf(hash)).toBeUndefined());
test.each(['#/lab/farm', '#/lab/farm/nowhere', '#/lab/farm/%zz'])('%s is the page of the farm', (hash) =>
  expect(placeOf(hash)?.page).toBe('farm'),
);
