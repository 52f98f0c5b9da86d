import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SecretData } from '../secrets.ts';
import {
  acceptedOf,
  digestOf,
  newestOf,
  planTurn,
  type TakeUp,
  type TurnStep,
  turnChange,
  turnStatus,
} from './turn.ts';

const TURNING = { names: ['pass', 'other'], overlapping: ['pass'] } as const;
const bytes = (text: string): Buffer => Buffer.from(text);
const one = { pass: bytes('a'), other: bytes('x'), foreign: bytes('-') };
const next = { ...one, 'pass-next': bytes('b'), 'other-next': bytes('y'), request: bytes('r1') };
const former = { ...one, pass: bytes('b'), other: bytes('y'), 'pass-former': bytes('a'), request: bytes('r1') };
const all = (held: SecretData): TakeUp => ({ of: digestOf(held, TURNING), lacking: [] });
const but = (held: SecretData, ...lacking: string[]): TakeUp => ({ of: digestOf(held, TURNING), lacking });

test.each<{ what: string; held: SecretData; request?: string; seen?: TakeUp; step: TurnStep }>([
  { what: 'nobody asked', held: one, step: { kind: 'Rest' } },
  { what: 'an empty annotation asks for nothing', held: one, request: '', step: { kind: 'Rest' } },
  { what: 'asked for', held: one, request: 'r1', step: { kind: 'Add', request: 'r1' } },
  { what: 'nobody looked yet', held: next, request: 'r1', step: { kind: 'Wait', for: [] } },
  { what: 'one lacks it', held: next, seen: but(next, 'node-b'), step: { kind: 'Wait', for: ['node-b'] } },
  { what: 'what was seen was of the state before', held: next, seen: all(one), step: { kind: 'Wait', for: [] } },
  { what: 'all have the next', held: next, seen: all(next), step: { kind: 'Switch' } },
  { what: 'another request waits for the first', held: next, request: 'r2', seen: all(next), step: { kind: 'Switch' } },
  { what: 'one uses the former', held: former, seen: but(former, 'node-a'), step: { kind: 'Wait', for: ['node-a'] } },
  { what: 'nobody uses the former', held: former, seen: all(former), step: { kind: 'Drop' } },
  { what: 'done', held: { ...one, request: bytes('r1') }, request: 'r1', step: { kind: 'Rest' } },
  {
    what: 'at once: nobody is waited for',
    held: next,
    request: 'r1/now',
    seen: but(next, 'b'),
    step: { kind: 'Switch' },
  },
  { what: 'at once: what leaked ends', held: former, request: 'r2/now', step: { kind: 'Drop' } },
  { what: 'at once: and once', held: { ...one, request: bytes('r/now') }, request: 'r/now', step: { kind: 'Rest' } },
])('$what', ({ held, request, seen, step }) => {
  expect(planTurn(held, TURNING, { request, seen })).toEqual(step);
});

const written = (held: SecretData, step: TurnStep, made: SecretData = {}): SecretData =>
  Object.fromEntries(
    Object.entries({ ...held, ...turnChange(held, TURNING, step, made) }).filter(
      (entry): entry is [string, Buffer] => entry[1] !== undefined,
    ),
  );

test('what each step writes: no more than it says, and nothing of another’s', () => {
  const made = { pass: bytes('b'), other: bytes('y') };
  expect(written(one, { kind: 'Add', request: 'r1' }, made)).toEqual(next);
  expect(written(next, { kind: 'Switch' })).toEqual(former);
  expect(written(former, { kind: 'Drop' })).toEqual({
    ...one,
    pass: bytes('b'),
    other: bytes('y'),
    request: bytes('r1'),
  });
  expect([acceptedOf(next, 'pass'), newestOf(next, 'pass')]).toEqual([['a', 'b'], 'b']);
  expect([acceptedOf(former, 'pass'), newestOf(former, 'pass')]).toEqual([['b', 'a'], 'b']);
});

test('a status of two Secrets is done when both are', () => {
  const at = (held: SecretData, step: TurnStep) => ({ held, step });
  expect(turnStatus('passwords', [at(one, { kind: 'Rest' }), at(one, { kind: 'Rest' })])).toEqual({ state: 'Settled' });
  const wait = at(next, { kind: 'Wait', for: ['node-b', 'node-c'] });
  expect(turnStatus('passwords', [at(one, { kind: 'Rest' }), wait])).toEqual({
    state: 'Distributing',
    message:
      'passwords change when all have taken up the last step, which kubelets hand on within two minutes: waiting for node-b, node-c',
  });
  expect(turnStatus('passwords', [at(former, { kind: 'Drop' }), wait])).toMatchObject({ request: 'r1' });
});

/**
 * Leaders that come, pause and crash between any two steps; a service that reads the Secret anew when it likes, and three servers that are rolled
 * out when they like. The value is a password (servers show it, the service accepts it) and an authority (the service shows it, servers accept it).
 */
const EVENT = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('see' as const), leader: fc.nat(1) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('step' as const), leader: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), leader: fc.nat(1) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('mount' as const) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('roll' as const), server: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ask' as const), text: fc.constantFrom('r1', 'r2', 'r3') }) },
);

interface Place {
  readonly accepts: readonly string[];
  readonly shows: string;
  readonly of: string;
}

test('whatever the order: who shows something is believed, and at rest one value is left', () => {
  const turning = { names: ['v'], overlapping: ['v'] } as const;
  let switches = 0;
  const property = fc.property(fc.array(EVENT, { maxLength: 150, size: 'max' }), (events) => {
    let held: SecretData = { v: bytes('0') };
    let made = 0;
    let request: string | undefined;
    const place = (): Place => ({
      accepts: acceptedOf(held, 'v'),
      shows: held['v']?.toString() ?? '',
      of: digestOf(held, turning),
    });
    let service = place();
    const servers = [place(), place(), place()];
    const seen: (TakeUp | undefined)[] = [undefined, undefined];
    const see = (): TakeUp => {
      const now = place();
      const lacking = servers.flatMap(({ of }, index) => (of === now.of ? [] : [`s${index}`]));
      const proven = service.accepts.includes(newestOf(held, 'v')) && service.shows === now.shows;
      return { of: now.of, lacking: proven ? lacking : [...lacking, 'service'] };
    };
    const step = (leader: number): void => {
      const next = planTurn(held, turning, { request, seen: seen[leader] });
      if (next.kind === 'Switch') switches++;
      const change = turnChange(held, turning, next, { v: bytes(`${made + 1}`) });
      if (next.kind === 'Add') made++;
      held = Object.fromEntries(
        Object.entries({ ...held, ...change }).filter((entry): entry is [string, Buffer] => entry[1] !== undefined),
      );
    };
    const check = (): void => {
      for (const server of [...servers, place()]) {
        if (!service.accepts.includes(server.shows)) throw new Error('a server is turned away');
        if (!server.accepts.includes(service.shows)) throw new Error('the service is not believed');
      }
    };
    for (const event of events) {
      if (event.kind === 'see') seen[event.leader] = see();
      if (event.kind === 'step') step(event.leader);
      if (event.kind === 'crash') seen[event.leader] = undefined;
      if (event.kind === 'mount') service = place();
      if (event.kind === 'roll') servers[event.server] = place();
      if (event.kind === 'ask') request = event.text;
      check();
    }
    for (let turn = 0; turn < 8; turn++) {
      service = place();
      servers.fill(place());
      seen[0] = see();
      step(0);
    }
    expect(Object.keys(held).filter((name) => name !== 'request')).toEqual(['v']);
    expect(held['request']?.toString()).toBe(request);
    expect(held['v']?.toString()).toBe(`${made}`);
  });
  fc.assert(property, { seed: 17, numRuns: 200 });
  expect(switches).toBeGreaterThan(200);
});
