import { expect, test } from '@jest/globals';
import { canonicalUuid, SeenUuids, SIGHTING_LIFE_MS } from './uuids.ts';

const UUID = '6d3c8a62-0000-4000-8000-000000000001';
const OTHER_ORDER = '628a3c6d-0000-0040-8000-000000000001';
const [own, second, other, third] = [
  '52:54:00:00:00:01',
  '52:54:00:00:00:02',
  '52:54:00:00:00:99',
  '52:54:00:00:00:98',
];
const device = [own, second] as const;

interface Case {
  readonly what: string;
  /** MACs in their order, each a minute after the one before, or so long. */
  readonly asks: readonly { readonly mac: string; readonly after?: number; readonly uuid?: string }[];
  /** What the last is told. */
  readonly sharedWith: string | undefined;
}

test.each<Case>([
  { what: 'the first has it alone', asks: [{ mac: own }], sharedWith: undefined },
  { what: 'the same one, again', asks: [{ mac: other }, { mac: other }], sharedWith: undefined },
  { what: 'both cards of a device', asks: [{ mac: own }, { mac: second }], sharedWith: undefined },
  { what: 'another machine after it', asks: [{ mac: own }, { mac: other }], sharedWith: own },
  { what: 'it, after another machine', asks: [{ mac: other }, { mac: own }], sharedWith: other },
  { what: 'in the other byte order', asks: [{ mac: own, uuid: OTHER_ORDER }, { mac: other }], sharedWith: own },
  { what: 'two strangers', asks: [{ mac: other }, { mac: third }], sharedWith: other },
  {
    what: 'a new card, a week after the old one',
    asks: [{ mac: own }, { mac: other, after: SIGHTING_LIFE_MS + 1 }],
    sharedWith: undefined,
  },
  { what: 'not quite a week after', asks: [{ mac: own }, { mac: other, after: SIGHTING_LIFE_MS }], sharedWith: own },
  {
    what: 'a week after the first ask, of one that asked since',
    asks: [{ mac: own }, { mac: own, after: SIGHTING_LIFE_MS / 2 }, { mac: other, after: SIGHTING_LIFE_MS / 2 + 1 }],
    sharedWith: own,
  },
])('$what', ({ asks, sharedWith }) => {
  const seen = new SeenUuids();
  let now = 0;
  const told = asks.map(({ mac, after = 60_000, uuid = UUID }) => {
    now += after;
    return seen.saw(uuid, { mac, own: device.some((of) => of === mac) ? device : [] }, now);
  });
  expect(told.at(-1)).toBe(sharedWith);
});

test('what is forgotten was not seen, in either byte order', () => {
  const seen = new SeenUuids();
  seen.saw(UUID, { mac: own, own: device }, 0);
  seen.forget(OTHER_ORDER);
  expect(seen.saw(UUID, { mac: other, own: [] }, 1)).toBeUndefined();
});

test('the one seen longest ago makes room', () => {
  const seen = new SeenUuids();
  const uuidOf = (n: number) => `6d3c8a62-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
  for (let n = 0; n <= 65_536; n += 1) seen.saw(uuidOf(n), { mac: own, own: device }, n);
  expect(seen.saw(uuidOf(1), { mac: other, own: [] }, 65_537)).toBe(own);
  expect(seen.saw(uuidOf(0), { mac: other, own: [] }, 65_538)).toBeUndefined();
});

test('a UUID has one canonical form', () => {
  expect(canonicalUuid(UUID)).toBe(canonicalUuid(OTHER_ORDER));
});
