/** Whose database: every combination of what is remembered and what is found. */
import { describe, expect, test } from '@jest/globals';
import type { FoundDatabase } from '../../database/identity.ts';
import type { Identity } from '../../farm/identity.ts';
import { type Decision, decideDatabase, type Known } from './identity.ts';

const A: Identity = { farm: 'a', adoptions: 0, revision: 0 };
const B: Identity = { farm: 'b', adoptions: 4, revision: 0 };
const me = { uid: 'me', name: 'lab/farm' };
const other = { uid: 'other', name: 'lab/second' };

const known = (more: Partial<Known> = {}): Known => ({
  uid: 'me',
  name: 'lab/this',
  keys: 'secret',
  ownerLives: false,
  meta: undefined,
  servers: [],
  ...more,
});
const found = (more: Partial<FoundDatabase> = {}): FoundDatabase => ({
  farm: 'a',
  adoptions: 0,
  revision: 10,
  replaces: [],
  hasDevices: true,
  led: true,
  ...more,
});
const empty: FoundDatabase = { adoptions: 0, revision: 0, replaces: [], hasDevices: false, led: false };

/** `Refuse DatabaseForeign a@1`: with the word that would permit it. */
const short = (decision: Decision): string => {
  if (decision.kind !== 'Refuse') return decision.kind;
  const word = /set spec\.adopt to (\S+@\d+)/.exec(decision.message)?.[1];
  return ['Refuse', decision.reason, word].filter(Boolean).join(' ');
};

describe('every combination', () => {
  const STATUS = [undefined, A] as const;
  const METAS = [undefined, 'Unread', { ...A, revision: 10 }, { ...A, revision: 11 }, B] as const;
  const DATABASES = {
    empty,
    'a of nobody': found(),
    'a of mine': found({ owner: me }),
    'a of another': found({ owner: other }),
    b: found({ farm: 'b', adoptions: 4, owner: other }),
  } as const;
  const table: Record<keyof typeof DATABASES, readonly (readonly string[])[]> = {
    // META: none, unread, a as it was, a ahead, b
    empty: [
      ['New', 'Wait', 'Refuse DatabaseForeign a@1', 'Refuse DatabaseForeign a@1', 'Refuse DatabaseForeign b@5'],
      [1, 1, 1, 1, 5].map((number) => `Refuse DatabaseForeign a@${number}`),
    ],
    'a of nobody': [
      ['Refuse DatabaseForeign a@1', 'Wait', 'Ours', 'Refuse DatabaseBehind a@1', 'Refuse DatabaseForeign a@5'],
      ['Ours', 'Ours', 'Ours', 'Refuse DatabaseBehind a@1', 'Refuse DatabaseForeign a@5'],
    ],
    'a of mine': [
      ['Ours', 'Ours', 'Ours', 'Refuse DatabaseBehind a@1', 'Refuse DatabaseForeign a@5'],
      ['Ours', 'Ours', 'Ours', 'Refuse DatabaseBehind a@1', 'Refuse DatabaseForeign a@5'],
    ],
    'a of another': [
      [
        'Refuse DatabaseForeign a@1',
        'Refuse DatabaseForeign a@1',
        'Refuse DatabaseForeign a@1',
        'Refuse DatabaseBehind a@1',
        'Refuse DatabaseForeign a@5',
      ],
      [
        'Refuse DatabaseForeign a@1',
        'Refuse DatabaseForeign a@1',
        'Refuse DatabaseForeign a@1',
        'Refuse DatabaseBehind a@1',
        'Refuse DatabaseForeign a@5',
      ],
    ],
    b: [Array(5).fill('Refuse DatabaseForeign b@5'), Array(5).fill('Refuse DatabaseForeign b@5')],
  };
  const rows = Object.entries(DATABASES).flatMap(([name, database]) =>
    STATUS.flatMap((status, s) =>
      METAS.map((meta, m) => ({
        name,
        status: status?.farm ?? 'none',
        meta: typeof meta === 'object' ? `${meta.farm} at ${meta.revision}` : (meta ?? 'none'),
        given: known({ meta, ...(status ? { status } : {}) }),
        database,
        is: table[name as keyof typeof DATABASES][s]?.[m] ?? '',
      })),
    ),
  );

  test.each(rows)('database $name, status $status, META $meta: $is', ({ given, database, is }) => {
    const decision = decideDatabase(given, database);
    expect(short(decision)).toBe(is);
    const word = / (\S+@\d+)$/.exec(is)?.[1];
    if (word === undefined) return;
    const adopted = decideDatabase({ ...given, adopt: word }, database);
    // a word that was left in git fits whatever nobody remembers
    if (given.meta === 'Unread') {
      expect(adopted.kind).toBe('Wait');
      return;
    }
    expect(adopted).toMatchObject({
      kind: 'Adopt',
      adoption: { farm: word.split('@')[0], adoptions: Number(word.split('@')[1]) },
    });
    for (const stale of ['a@0', `${word.split('@')[0]}@9`, `c@${word.split('@')[1]}`])
      expect(short(decideDatabase({ ...given, adopt: stale }, database))).toBe(is);
    if (adopted.kind !== 'Adopt') return;
    // the database as it is then: of mine, whatever of status and META is older still
    const { farm, adoptions, replaces, revision } = adopted.adoption;
    const taken = found({ farm, adoptions, replaces, revision, owner: me, hasDevices: database.hasDevices });
    expect(short(decideDatabase({ ...given, adopt: word }, taken))).toBe('Ours');
    // and the next loss needs another word
    const filled = { farm, adoptions, revision };
    const next = known({ status: filled, meta: filled, adopt: word });
    expect(short(decideDatabase(next, empty))).toBe(`Refuse DatabaseForeign ${farm}@${adoptions + 1}`);
    expect(short(decideDatabase(next, { ...taken, revision: revision - 1 }))).toBe(
      `Refuse DatabaseBehind ${farm}@${adoptions + 1}`,
    );
    // with its status lost in a rebuilt cluster, too: the replica remembers
    expect(short(decideDatabase(known({ meta: filled, adopt: word }), empty))).toMatch(/^Refuse/);
  });
});

test.each<[string, Known, FoundDatabase, string]>([
  ['an empty one while a server holds a farm', known({ servers: [A] }), empty, 'Refuse DatabaseForeign a@1'],
  ['an empty one while servers are asked', known({ servers: 'Asking' }), empty, 'Wait'],
  ['a server that was away for long says nothing against META', known({ meta: A, servers: [B] }), found(), 'Ours'],
  ['an empty one, and only spec.adopt remembers a farm', known({ adopt: 'a@1' }), empty, 'Refuse DatabaseForeign'],
  ['begun by this Farm, whose first status was not written', known({ meta: 'Unread' }), found({ owner: me }), 'Ours'],
  ['led by this Farm, and not filled yet', known(), { ...empty, led: true, owner: me }, 'New'],
  [
    'being filled by another Farm at this moment',
    known(),
    { ...empty, led: true, owner: other },
    'Refuse DatabaseForeign',
  ],
  [
    'emptied of its devices',
    known({ meta: { ...A, devices: 2_000 } }),
    found({ hasDevices: false }),
    'Refuse DatabaseBehind a@1',
  ],
])('%s', (_, given, database, is) => expect(short(decideDatabase(given, database))).toBe(is));

test('the message names both, what goes on meanwhile, and the two ways out', () => {
  const decision = decideDatabase(known({ status: A, adopt: 'a@7' }), found({ farm: 'b', owner: other }));
  expect(decision).toEqual({
    kind: 'Refuse',
    reason: 'DatabaseForeign',
    message:
      'the database is that of farm b, and this Farm is that of farm a. Nothing is written, servers serve on from what they hold. ' +
      'Either bring back the right database, by its uri or from a backup; or, to go on with this one as it is, set spec.adopt to b@1 ' +
      '(it is a@7, which was said of another case)',
  });
});

describe('a Farm that was given the keys of an earlier one', () => {
  const predecessor = { farm: 'a', uid: 'other' };
  const SUCCEEDS = { kind: 'Ours', succeeds: true };
  const third = { uid: 'third', name: 'lab/farm' };
  test.each<[what: string, known: Partial<Known>, found: FoundDatabase, decision: object]>([
    ['goes on with its database', {}, found({ owner: other }), SUCCEEDS],
    ['and with one that was set free', {}, found(), SUCCEEDS],
    ['and has it then, once', {}, found({ owner: me }), { kind: 'Ours' }],
    ['not with that of another farm', {}, found({ farm: 'b', owner: other }), { kind: 'Refuse' }],
    ['not with one that somebody else took over', {}, found({ owner: third }), { kind: 'Refuse' }],
    [
      'but with one of its own name that was made after the copy',
      { name: third.name },
      found({ owner: third }),
      SUCCEEDS,
    ],
    ['not once it was seen in a database', { status: A }, found({ owner: other }), { kind: 'Refuse' }],
    ['not with an empty one', {}, empty, { kind: 'New' }],
    [
      'not with one that is behind what the replica holds',
      { meta: { ...A, revision: 11 } },
      found({ owner: other }),
      { kind: 'Refuse', reason: 'DatabaseBehind' },
    ],
    ['waits for who may remember a farm', { meta: 'Unread' }, found(), { kind: 'Wait' }],
    ['and for servers', { servers: 'Asking' }, found({ owner: other }), { kind: 'Wait' }],
  ])('%s', (_, more, database, decision) => {
    expect(decideDatabase(known({ predecessor, ...more }), database)).toMatchObject(decision);
  });

  test.each<[what: string, more: Partial<Known>, database: FoundDatabase, decision: object]>([
    [
      'one that a Farm of this name freed is its own, though nobody remembers',
      {},
      found({ freedBy: 'lab/this' }),
      SUCCEEDS,
    ],
    ['once those who may remember were heard', { meta: 'Unread' }, found({ freedBy: 'lab/this' }), { kind: 'Wait' }],
    ['but not what somebody took over since', {}, found({ freedBy: 'lab/this', owner: third }), { kind: 'Refuse' }],
    ['nor what another Farm freed', {}, found({ freedBy: 'lab/second' }), { kind: 'Refuse' }],
    [
      'nor one that is behind its replica',
      { meta: { ...A, revision: 11 } },
      found({ freedBy: 'lab/this' }),
      { kind: 'Refuse', reason: 'DatabaseBehind' },
    ],
    ['and an empty one is new', {}, { ...found({ freedBy: 'lab/this' }), farm: undefined } as never, { kind: 'New' }],
  ])('without keys: %s', (_, more, database, decision) => {
    expect(decideDatabase(known(more), database)).toMatchObject(decision);
  });

  const before = { uid: 'before', name: 'lab/this' };
  test.each<[what: string, more: Partial<Known>, database: FoundDatabase, decision: object]>([
    ['one of its name whose Secret it has is gone', {}, found({ owner: before, keys: 'secret' }), SUCCEEDS],
    [
      'once those who may remember were heard',
      { meta: 'Unread' },
      found({ owner: before, keys: 'secret' }),
      { kind: 'Wait' },
    ],
    [
      'though its Secret is a copy, where there were no rows',
      {},
      { ...empty, led: true, owner: before },
      { kind: 'New', succeeds: true },
    ],
    [
      'also before it had rows',
      {},
      { ...empty, led: true, owner: before, keys: 'secret' },
      { kind: 'New', succeeds: true },
    ],
    ['not of one of another cluster', {}, found({ owner: before, keys: 'its own' }), { kind: 'Refuse' }],
    ['nor of an earlier release, which tells of no Secret', {}, found({ owner: before }), { kind: 'Refuse' }],
    ['nor of another name', {}, found({ owner: other, keys: 'secret' }), { kind: 'Refuse' }],
    ['nor once it was seen in a database', { status: A }, found({ owner: before, keys: 'secret' }), { kind: 'Refuse' }],
    [
      'nor behind its replica',
      { meta: { ...A, revision: 11 } },
      found({ owner: before, keys: 'secret' }),
      { kind: 'Refuse', reason: 'DatabaseBehind' },
    ],
    [
      'nor beside the replica of another farm',
      { meta: B },
      found({ owner: before, keys: 'secret' }),
      { kind: 'Refuse', reason: 'DatabaseForeign' },
    ],
  ])('that nobody could set free: %s', (_, more, database, decision) => {
    expect(decideDatabase(known(more), database)).toMatchObject(decision);
  });

  test.each<[what: string, more: Partial<Known>, database: FoundDatabase]>([
    ['not to any other', {}, found({ owner: other })],
    ['not by a word', { adopt: 'a@1' }, found({ owner: other })],
    ['not by its keys', { predecessor: { farm: 'a', uid: 'other' } }, found({ owner: other })],
    ['not without rows', {}, { ...empty, led: true, owner: other }],
  ])('a Farm that lives loses nothing: %s', (_, more, database) => {
    expect(decideDatabase(known({ ownerLives: true, ...more }), database)).toEqual({
      kind: 'Refuse',
      reason: 'DatabaseForeign',
      message: expect.stringMatching(/That Farm is there: name another database, or delete that Farm first$/),
    });
  });

  test('a database without rows of a Farm that is not here names the way out', () => {
    expect(decideDatabase(known(), { ...empty, led: true, owner: other })).toMatchObject({
      kind: 'Refuse',
      message: expect.stringContaining('Name another database, or drop the tables of this one'),
    });
  });

  test('and no other Farm does', () => {
    expect(decideDatabase(known(), found({ owner: other }))).toMatchObject({ kind: 'Refuse' });
    expect(decideDatabase(known(), found({ owner: me }))).toEqual({ kind: 'Ours' });
  });
});
