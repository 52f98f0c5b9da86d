import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type DatabaseIdentity, describeKinship, type Identity, identityMark, judgeDatabase } from './identity.ts';

const known = (more: Partial<Identity> = {}): Identity => ({ farm: 'a', adoptions: 2, revision: 50, ...more });
const found = (more: Partial<DatabaseIdentity> = {}): DatabaseIdentity => ({
  farm: 'a',
  adoptions: 2,
  revision: 50,
  replaces: [],
  hasDevices: true,
  ...more,
});
const empty: DatabaseIdentity = { adoptions: 0, revision: 0, replaces: [], hasDevices: false };

test.each([
  ['the same state', known(), found(), 'Same'],
  ['it went on', known(), found({ revision: 51 }), 'Same'],
  ['one step is lost', known(), found({ revision: 49 }), 'Behind'],
  ['an empty one', known(), empty, 'Empty'],
  ['another farm', known(), found({ farm: 'b', revision: 99, adoptions: 9 }), 'Foreign'],
  ['a person adopted it since', known(), found({ adoptions: 3, revision: 0 }), 'Same'],
  ['the one that a person gave up', known(), found({ adoptions: 1, revision: 999 }), 'Behind'],
  ['another farm that may replace this one', known(), found({ farm: 'b', replaces: ['c@0', 'a@2'] }), 'Same'],
  [
    'another farm that might have replaced this one earlier',
    known(),
    found({ farm: 'b', replaces: ['a@1'] }),
    'Foreign',
  ],
  ['an old state that may replace this one', known(), found({ revision: 1, replaces: ['a@2'] }), 'Same'],
  ['many devices are gone', known({ devices: 10 }), found({ hasDevices: false }), 'Emptied'],
  [
    'many devices are gone, and a person said so',
    known({ devices: 10 }),
    found({ adoptions: 3, hasDevices: false }),
    'Same',
  ],
  ['the few devices are gone', known({ devices: 9 }), found({ hasDevices: false }), 'Same'],
  ['nothing is known of devices', known(), found({ hasDevices: false }), 'Same'],
])('%s', (_, copy, database, kinship) => expect(judgeDatabase(copy, database)).toBe(kinship));

describe('whatever is known and found', () => {
  const id = fc.constantFrom('a', 'b');
  const count = fc.nat(3);
  const copies = fc.record({ farm: id, adoptions: count, revision: count, devices: fc.constantFrom(0, 9, 10) });
  const databases = fc.record({
    farm: fc.option(id, { nil: undefined }),
    adoptions: count,
    revision: count,
    replaces: fc.subarray(['a@0', 'a@1', 'b@0']),
    hasDevices: fc.boolean(),
  });

  test('without a word of a person nothing is replaced by another farm, an older state or nothing', () =>
    fc.assert(
      fc.property(copies, databases, ({ ...copy }, { farm, ...rest }) => {
        const database = farm === undefined ? rest : { ...rest, farm };
        if (judgeDatabase(copy, database) !== 'Same' || database.replaces.includes(identityMark(copy))) return true;
        const later = [database.adoptions - copy.adoptions, database.revision - copy.revision];
        const [word = 0, steps = 0] = later;
        return farm === copy.farm && (word > 0 || (word === 0 && steps >= 0));
      }),
      { seed: 20261128, numRuns: 2_000 },
    ));
});

test('a sentence names both, and how far it is back', () => {
  const yesterday = found({ revision: 7, steppedAt: Date.parse('2026-11-27T10:00:00Z') });
  const now = known({ checkedAt: Date.parse('2026-11-28T12:00:00Z'), devices: 2_000 });
  expect(describeKinship('Behind', 'the replica', now, yesterday)).toBe(
    'the database of farm a was restored to the past: it stands at revision 7 after 2 adoptions of 2026-11-27T10:00:00Z, ' +
      'and the replica at revision 50 after 2 adoptions of 2026-11-28T12:00:00Z',
  );
  expect(describeKinship('Foreign', 'this Farm', now, found({ farm: 'b' }))).toBe(
    'the database is that of farm b, and this Farm is that of farm a',
  );
  expect(describeKinship('Empty', 'the replica', now, empty)).toBe(
    'the database holds no farm, and the replica is that of farm a',
  );
  expect(describeKinship('Emptied', 'the replica', now, found())).toBe(
    'the database of farm a holds no device, and the replica holds 2000',
  );
});
