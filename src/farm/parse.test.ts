import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aDevice } from '../../test/builders/farm.ts';
import { aFarm, aSession } from '../../test/builders/rows.ts';
import type { FarmSnapshot } from './model.ts';
import { parseDevice, parseName, parseSession, parseSnapshot } from './parse.ts';

type Kind = Parameters<Parameters<typeof parseSnapshot>[0]>[0];
const PLURAL = {
  site: 'sites',
  collection: 'collections',
  store: 'stores',
  vdisk: 'vdisks',
  version: 'versions',
  override: 'overrides',
  server: 'servers',
} as const;
const textsOf = (farm: FarmSnapshot) => (kind: Kind) =>
  (kind === 'farm' ? [farm.farm] : farm[PLURAL[kind]]).map((row: object) => JSON.stringify(row));

test('what is well formed comes back as it is, fields of a later release with it', () => {
  const texts = textsOf(aFarm());
  expect(parseSnapshot(texts)).toEqual({ ok: true, value: aFarm() });
  const device = { ...aDevice(), ofTheNextRelease: 7 };
  expect(parseDevice(JSON.stringify(device))).toEqual({ ok: true, value: device });
  expect(parseSession(JSON.stringify(aSession()))).toEqual({ ok: true, value: aSession() });
});

test.each([{ version: 2 ** 31 }, { device: 'a\u0000b' }, { epoch: 0.5 }, { since: -1 }])(
  'a session that the database would refuse is none, so that it holds up no journal: %j',
  (more) => {
    expect(parseSession(JSON.stringify({ ...aSession(), ...more }))).toMatchObject({ error: { code: 'EntryInvalid' } });
  },
);

test('a field that the last release did not write gets its default', () => {
  const { properties: _, ...device } = aDevice();
  expect(parseDevice(JSON.stringify(device))).toEqual({ ok: true, value: { ...device, properties: {} } });
});

describe('one bad entry is left out and named, its neighbours stay', () => {
  const [server] = aFarm().servers;
  test.each<{ kind: keyof typeof PLURAL; text: string; says: string }>([
    {
      kind: 'server',
      text: JSON.stringify({ ...server, name: 'bad', address: 'x' }),
      says: 'server bad: /address must be an IPv4 or IPv6 address',
    },
    { kind: 'server', text: JSON.stringify({ ...server, name: 'bad', ports: {} }), says: 'server bad: /ports' },
    { kind: 'vdisk', text: '{"name":"half"}', says: 'vdisk half: ' },
    { kind: 'version', text: '{"vdisk":"lab","number":-1}', says: 'version lab/-1: ' },
    { kind: 'site', text: 'no json', says: 'site no json: ' },
    { kind: 'store', text: 'null', says: 'store null: ' },
    { kind: 'collection', text: '[]', says: 'collection ' },
  ])('$says', ({ kind, text, says }) => {
    const texts = textsOf(aFarm());
    const parsed = parseSnapshot((asked) => (asked === kind ? [text, ...texts(asked)] : texts(asked)));
    if (!parsed.ok || !parsed.value) throw new Error('no snapshot');
    const { leftOut = [], ...rest } = parsed.value;
    expect(rest).toEqual(aFarm());
    expect(leftOut).toEqual([expect.stringContaining(says)]);
  });

  test('a path that leads out of a store is no file name', () => {
    const [vdisk] = aFarm().vdisks;
    for (const fileName of ['../etc/shadow', '..', '.', 'a/b', '', 'x\u0000'])
      expect(
        parseSnapshot((kind) => (kind === 'vdisk' ? [JSON.stringify({ ...vdisk, fileName })] : textsOf(aFarm())(kind))),
      ).toMatchObject({ value: { vdisks: [], leftOut: [expect.stringContaining('/fileName')] } });
  });

  test('without a farm there is none; one that cannot be read is a fault', () => {
    expect(parseSnapshot(() => [])).toEqual({ ok: true, value: undefined });
    expect(parseSnapshot(() => ['{"name":"farm"}'])).toMatchObject({ ok: false, error: { code: 'EntryInvalid' } });
  });
});

test('any JSON in any entry never throws and never takes a good neighbour away', () => {
  const texts = textsOf(aFarm());
  const kinds = Object.keys(PLURAL) as (keyof typeof PLURAL)[];
  /** A good entry with one value in it replaced. */
  const spoiled = fc.tuple(fc.constantFrom(...kinds), fc.nat(20), fc.jsonValue()).map(([kind, at, value]) => {
    const entry = JSON.parse(texts(kind)[0] ?? '{}') as Record<string, unknown>;
    const keys = Object.keys(entry);
    return [kind, JSON.stringify({ ...entry, [keys[at % keys.length] ?? 'name']: value })] as const;
  });
  const any = fc.tuple(fc.constantFrom(...kinds), fc.oneof(fc.json(), fc.string()));
  fc.assert(
    fc.property(fc.oneof(spoiled, any), ([kind, text]) => {
      const parsed = parseSnapshot((asked) => (asked === kind ? [text, ...texts(asked)] : texts(asked)));
      if (!parsed.ok || !parsed.value) throw new Error('no snapshot');
      expect(parsed.value[PLURAL[kind]].slice(-aFarm()[PLURAL[kind]].length)).toEqual(aFarm()[PLURAL[kind]]);
      for (const other of kinds)
        if (other !== kind) expect(parsed.value[PLURAL[other]]).toEqual(aFarm()[PLURAL[other]]);
      for (const parse of [parseDevice, parseSession, parseName]) expect(typeof parse(text).ok).toBe('boolean');
    }),
    { seed: 12, numRuns: 500 },
  );
});
