import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TICKET_LIFE_SECONDS } from '../../farm/token.ts';
import { KEY_OVERLAP_MS, type KeyFacts, type KeyStep, keyChange, keyState, planKeys } from './rotation.ts';

const NOW = Date.parse('2026-11-28T00:00:00Z');
const bytes = (text: string): Buffer => Buffer.from(text);
const at = (ms: number): Buffer => bytes(new Date(ms).toISOString());
const key = Buffer.alloc(32, 7);
const one = { current: bytes('1'), 'key-1': key };
const added = { ...one, 'key-2': key, request: bytes('r1') };
const switched = { current: bytes('2'), 'key-1': key, 'key-2': key, 'retired-1': at(NOW), request: bytes('r1') };
const a = (...keys: number[]) => ({ name: 'node-a', keys });
const b = (...keys: number[]) => ({ name: 'node-b', keys });

test.each<{ what: string; held: Record<string, Buffer>; facts?: Partial<KeyFacts>; step: KeyStep }>([
  { what: 'nobody asked', held: one, step: { kind: 'Rest' } },
  { what: 'asked for', held: one, facts: { request: 'r1' }, step: { kind: 'Add', id: 2, request: 'r1' } },
  { what: 'an empty annotation asks for nothing', held: one, facts: { request: '' }, step: { kind: 'Rest' } },
  {
    what: 'one server lacks it',
    held: added,
    facts: { request: 'r1', servers: [a(1, 2), b(1)] },
    step: { kind: 'Wait', id: 2, servers: ['node-b'] },
  },
  {
    what: 'one server has not said',
    held: added,
    facts: { request: 'r1', servers: [a(1, 2), { name: 'node-b' }] },
    step: { kind: 'Wait', id: 2, servers: ['node-b'] },
  },
  { what: 'all have it', held: added, facts: { servers: [a(1, 2), b(1, 2)] }, step: { kind: 'Switch', id: 2 } },
  { what: 'a farm without servers', held: added, step: { kind: 'Switch', id: 2 } },
  {
    what: 'a leader that has asked nobody yet switches to none',
    held: added,
    facts: { request: 'r1', servers: undefined },
    step: { kind: 'Wait', id: 2, servers: [] },
  },
  {
    what: 'nor does it take back that the old one overlaps',
    held: switched,
    facts: { request: 'r1', servers: undefined },
    step: { kind: 'Keep', until: NOW + KEY_OVERLAP_MS },
  },
  {
    what: 'another request meanwhile waits for the first',
    held: added,
    facts: { request: 'r2', servers: [a(1)] },
    step: { kind: 'Wait', id: 2, servers: ['node-a'] },
  },
  { what: 'switched', held: switched, facts: { request: 'r1' }, step: { kind: 'Keep', until: NOW + KEY_OVERLAP_MS } },
  {
    what: 'a second before the end',
    held: switched,
    facts: { now: NOW + KEY_OVERLAP_MS - 1_000 },
    step: { kind: 'Keep', until: NOW + KEY_OVERLAP_MS },
  },
  { what: 'at the end', held: switched, facts: { now: NOW + KEY_OVERLAP_MS }, step: { kind: 'Drop', ids: [1] } },
  {
    what: 'asked for again while the old one overlaps',
    held: switched,
    facts: { request: 'r2' },
    step: { kind: 'Add', id: 3, request: 'r2' },
  },
  {
    what: 'at once: no server is waited for',
    held: added,
    facts: { request: 'r2/now', servers: [a(1)] },
    step: { kind: 'Switch', id: 2 },
  },
  {
    what: 'at once: nor asked',
    held: added,
    facts: { request: 'r2/now', servers: undefined },
    step: { kind: 'Switch', id: 2 },
  },
  { what: 'at once: the old one goes', held: switched, facts: { request: 'r2/now' }, step: { kind: 'Drop', ids: [1] } },
  {
    what: 'at once: and once',
    held: { current: bytes('3'), 'key-3': key, request: bytes('r2/now') },
    facts: { request: 'r2/now' },
    step: { kind: 'Rest' },
  },
  {
    what: 'an old key of which nobody wrote when it ended',
    held: { current: bytes('2'), 'key-1': key, 'key-2': key },
    step: { kind: 'Retire', ids: [1] },
  },
])('$what', ({ held, facts = {}, step }) => {
  expect(planKeys({ state: keyState(held), servers: [], now: NOW, ...facts })).toEqual(step);
});

/** A farm whose leaders come, go and crash between any two steps, and whose servers take up the Secret when they like. */
const EVENT = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('look' as const), crash: fc.boolean(), asked: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('take' as const), server: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ask' as const), server: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), hours: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('request' as const), text: fc.constantFrom('r1', 'r2', 'r3') }),
  },
);

test('whatever the order: what one server seals every other opens, and for a ticket’s life; at rest there is one key', () => {
  const property = fc.property(fc.array(EVENT, { maxLength: 120, size: 'max' }), (events) => {
    let held: Record<string, Buffer> = { ...one };
    let now = NOW;
    let request: string | undefined;
    const rings = [keyState(held), keyState(held), keyState(held)];
    /** What the leader was told last, by server. */
    const said: (readonly number[])[] = rings.map(({ ids }) => ids);
    /** When a key sealed last. */
    const sealed = new Map<number, number>();
    const observe = (asked = true): KeyStep => {
      const servers = asked ? said.map((keys, index) => ({ name: `s${index}`, keys })) : undefined;
      const state = keyState(held);
      const step = planKeys({ state, servers, now, ...(request === undefined ? {} : { request }) });
      return step;
    };
    const apply = (step: KeyStep): void => {
      const changed = { ...held, ...keyChange(keyState(held), step, key, now) };
      held = Object.fromEntries(
        Object.entries(changed).filter((entry): entry is [string, Buffer] => entry[1] !== undefined),
      );
    };
    /** `expect` would take most of the time. */
    const opens = (id: number): void => {
      if (rings.some(({ ids }) => !ids.includes(id))) throw new Error(`a server does not open what key ${id} sealed`);
    };
    const check = (): void => {
      for (const { current } of rings) {
        sealed.set(current, now);
        opens(current);
      }
      for (const [id, last] of sealed) if (now - last < TICKET_LIFE_SECONDS * 1_000) opens(id);
    };
    const takeAll = (): void => {
      for (const index of rings.keys()) {
        rings[index] = keyState(held);
        said[index] = rings[index].ids;
      }
    };
    for (const event of events) {
      if (event.kind === 'look') {
        const step = observe(event.asked);
        if (!event.crash) apply(step);
      }
      if (event.kind === 'take') rings[event.server] = keyState(held);
      if (event.kind === 'ask') said[event.server] = rings[event.server]?.ids ?? [];
      if (event.kind === 'request') request = event.text;
      if (event.kind === 'time') {
        // The kubelet writes a Secret within minutes: none stays behind for hours.
        for (const index of rings.keys()) rings[index] = keyState(held);
        check();
        now += event.hours * 3_600_000;
      }
      check();
    }
    for (let turn = 0; turn < 12; turn++) {
      apply(observe());
      takeAll();
      now += KEY_OVERLAP_MS;
    }
    const end = keyState(held);
    expect(end.ids).toEqual([end.current]);
    expect(end.taken).toBe(request);
  });
  fc.assert(property, { seed: 17, numRuns: 200 });
});
