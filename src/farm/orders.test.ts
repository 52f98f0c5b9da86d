import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mergeSubject } from './merge.ts';
import {
  boundedOrders,
  chooseHand,
  type FarmOrder,
  type Hand,
  orderId,
  orderIds,
  parseOrders,
  type TellOfWork,
} from './orders.ts';

const NOW = Date.parse('2026-11-29T12:30:00Z') / 1_000;
const HOUR = 3_600;
const place = { id: '5f0c11d2', folder: '/srv', fileName: 'lab' };
const merge = { ...place, kind: 'merge', version: 6 };
const fetch = { ...place, kind: 'fetch', url: 'https://images.example/lab.vhdx', sha256: 'a'.repeat(64) };
const bootFiles = { ...place, kind: 'boot-files', number: 3 };
const giveBack = { ...place, kind: 'give-back', server: 'a', volume: 'token 1' };

test.each<{ what: string; text: string; is: unknown }>([
  {
    what: 'has all there are',
    text: JSON.stringify([merge, fetch, bootFiles]),
    is: [merge, fetch, bootFiles],
  },
  { what: 'has fields of another release', text: JSON.stringify([{ ...fetch, more: 1 }]), is: [{ ...fetch, more: 1 }] },
  { what: 'is of the release before', text: JSON.stringify([{ ...place, version: 6 }]), is: [merge] },
  {
    what: 'has what is none among them',
    text: JSON.stringify([
      ...[null, 7, 'a', {}, { ...merge, id: 'x' }, { ...merge, folder: 'srv' }, { ...merge, fileName: '../a' }],
      ...[
        ...['', '.', '..', '.lab', 'a\u0000b', 'a b', 'x'.repeat(129)].map((fileName) => ({ ...fetch, fileName })),
        ...['/srv/..', '/srv/../etc', '/../etc', '/.', '/srv/./a', '/a\u0000'].map((folder) => ({ ...merge, folder })),
        ...[
          { ...fetch, url: 'http://a/ b' },
          { ...fetch, sizeBytes: 1e300 },
          { ...merge, version: 2 ** 60 },
        ],
        { ...merge, version: 'x' },
        { ...merge, kind: 'later' },
        { ...fetch, url: 'file:///etc/shadow' },
      ],
      ...[{ ...fetch, sha256: 'x' }, { ...fetch, sizeBytes: -1 }, { ...bootFiles, number: undefined }, merge],
    ]),
    is: [merge],
  },
  {
    what: 'gives back from a folder, or from whichever has the path',
    text: JSON.stringify([giveBack, { ...giveBack, volume: undefined }]),
    is: [giveBack],
  },
  {
    what: 'has folders with dots',
    text: JSON.stringify(['/', '/srv/.a', '/srv/..a/b..', '/srv/a./'].map((folder) => ({ ...merge, folder }))),
    is: ['/', '/srv/.a', '/srv/..a/b..', '/srv/a./'].map((folder) => ({ ...merge, folder })),
  },
  {
    what: 'has as many as a large farm has',
    text: JSON.stringify(Array.from({ length: 1_000 }, () => merge)),
    is: Array.from({ length: 1_000 }, () => merge),
  },
  { what: 'is no list', text: '{}', is: undefined },
  { what: 'is cut', text: '[', is: undefined },
  { what: 'is empty', text: '', is: undefined },
])('a file of orders that $what', ({ text, is }) => {
  expect(parseOrders(text)).toEqual(is);
});

describe('of more orders than a Secret holds', () => {
  const idOf = (number: number): string => (number * 7_919).toString(16).padStart(8, '0');
  const many = (count: number, url = ''): readonly FarmOrder[] =>
    Array.from({ length: count }, (_, at) => ({
      ...fetch,
      kind: 'fetch',
      id: idOf(count - at),
      url: `${fetch.url}${url}`,
    }));
  const ids = (orders: readonly FarmOrder[]): readonly string[] => orders.map(({ id }) => id);

  test.each<[string, readonly FarmOrder[], number]>([
    ['so many are kept', many(3_100), 2_600],
    ['fewer of long ones', many(400, 'x'.repeat(2_000)), 200],
  ])('%s: what goes on, then by id, in the order that they had, and the file is read whole', (_, orders, least) => {
    const last = idOf(orders.length);
    const keptOf = (all: readonly FarmOrder[]) => boundedOrders(all, ({ id }) => id === last);
    const kept = keptOf(orders);
    const first = ids(orders)
      .toSorted()
      .slice(0, kept.length - 1);
    expect(ids(kept).toSorted()).toEqual([...first, last].toSorted());
    expect(ids(kept)).toEqual(ids(orders).filter((id) => id === last || first.includes(id)));
    expect(kept.length).toBeGreaterThan(least);
    expect(kept.length).toBeLessThanOrEqual(3_000);
    const text = JSON.stringify(kept);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(512 * 1_024);
    expect(parseOrders(text)).toEqual(kept);
    expect(keptOf(orders.toReversed())).toEqual(kept.toReversed());
  });
});

test('the release before takes no other order for a merge', () => {
  const isMergeThere = (order: object) => 'version' in order && Number.isSafeInteger(order.version);
  expect([merge, fetch, bootFiles].map(isMergeThere)).toEqual([true, false, false]);
});

test('an order is another one in the next hour, and of another subject; it is known for two days', () => {
  const of = (version: number, atSeconds: number) => orderId(mergeSubject('uid', version), atSeconds);
  expect(of(6, NOW + 1_799)).toBe(of(6, NOW));
  expect(new Set([of(6, NOW), of(6, NOW + 1_800), of(7, NOW)]).size).toBe(3);
  expect(orderIds('uid 6', NOW + 47 * HOUR)).toContain(of(6, NOW));
  expect(orderIds('uid 6', NOW + 48 * HOUR)).not.toContain(of(6, NOW));
});

const hand = (server: string, isAble = true): Hand => ({ server, subject: `uid fetch ${server}`, isAble });
const job = (server: string, state: TellOfWork['state'], hoursAgo = 0): TellOfWork => ({
  ...{ server, state, id: orderId(`uid fetch ${server}`, NOW - HOUR * hoursAgo) },
});
const choose = (hands: readonly Hand[], work: readonly TellOfWork[]) => chooseHand('uid', hands, work, NOW);
const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { minLength: 1 });
const told = fc.record({
  server: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  state: fc.constantFrom(
    'Queued' as const,
    'Running' as const,
    'Done' as const,
    'Failed' as const,
    'Cancelled' as const,
  ),
});
const worlds = fc
  .record({
    all: names,
    unable: fc.subarray(['a', 'b', 'c', 'd', 'e', 'f']),
    jobs: fc.uniqueArray(told, { selector: ({ server }) => server }),
  })
  .map(({ all, unable, jobs }) => ({
    hands: all.map((server) => hand(server, !unable.includes(server))),
    work: jobs.map(({ server, state }, at) => job(server, state, at)),
  }));

test('one server is chosen, whoever comes first, and stays it while it works or others come and go', () => {
  fc.assert(
    fc.property(worlds, fc.nat(5), ({ hands, work }, at) => {
      const choice = choose(hands, work);
      expect(choose(hands.toReversed(), work.toReversed())).toEqual(choice);
      const states = new Map(work.map(({ server, state }) => [server, state]));
      const isOneOf = (server: string, ...of: TellOfWork['state'][]) => of.includes(states.get(server) ?? 'Done');
      const goOn = hands.filter(({ server }) => isOneOf(server, 'Queued', 'Running')).map(({ server }) => server);
      const able = hands.filter(({ isAble }) => isAble);
      if (choice.kind !== 'Ordered') {
        expect(goOn).toEqual([]);
        expect(able.every(({ server }) => isOneOf(server, 'Failed', 'Cancelled'))).toBe(true);
        expect(choice.kind).toBe(able.length === 0 ? 'NobodyAble' : 'Failed');
        return;
      }
      expect(choice.isGoingOn).toBe(goOn.length > 0);
      if (choice.isGoingOn) expect(goOn).toContain(choice.server);
      else
        expect(able.some(({ server }) => server === choice.server && !isOneOf(server, 'Failed', 'Cancelled'))).toBe(
          true,
        );
      const other = hands[at % hands.length];
      if (other && other.server !== choice.server)
        expect(
          choose(
            hands.filter((one) => one !== other),
            work,
          ),
        ).toEqual(choice);
    }),
    { seed: 14 },
  );
});

test('what a server says that it does, without having been ordered to, counts for nothing', () => {
  const hands = ['a', 'b', 'c'].map((server) => hand(server));
  const said = hands.map(({ server }) => ({ server, id: '00000000', state: 'Running' as const }));
  const others = hands.map(({ server }) => ({ ...job(server === 'a' ? 'b' : 'a', 'Running'), server }));
  expect(choose(hands, [...said, ...others])).toEqual(choose(hands, []));
});
