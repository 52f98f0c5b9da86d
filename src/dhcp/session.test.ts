import { expect, test } from '@jest/globals';
import { aBoot } from '../../test/builders/farm.ts';
import { aRequest, PC_MAC } from '../../test/builders/pxe.ts';
import type { Verdict } from './answer.ts';
import { ANSWER_BURST, MAX_PENDING, MAX_VERDICT_MS } from './limits.ts';
import { encode, type Packet } from './packet.ts';
import { type Event, type State, start, step } from './session.ts';

const SELF = { address: '10.0.0.11', httpPort: 8069 };
const bootstrap = { farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] };
const fresh = (): State => start(SELF, 0);
const packet = (request: Packet = aRequest()): Event => {
  const encoded = encode(request, 1_500);
  if (!encoded.ok) throw new Error(encoded.error.message);
  return { kind: 'packet', door: 'dhcp', bytes: encoded.value, source: { address: '0.0.0.0', port: 68 } };
};
const verdict = (id: number, more: Partial<Extract<Event, { kind: 'verdict' }>> = {}): Event => ({
  kind: 'verdict',
  id,
  verdict: { kind: 'known' },
  bootstrap,
  ...more,
});

test('a question asks for a verdict, a verdict sends the answer', () => {
  const asked = step(fresh(), packet(), 0);
  expect(asked.effects).toEqual([{ kind: 'ask', id: 1, machine: { mac: PC_MAC, architecture: 0 } }]);
  const answered = step(asked.state, verdict(1), 1);
  expect(answered.effects).toMatchObject([
    { kind: 'send', door: 'dhcp', to: { address: '255.255.255.255', port: 68 } },
    { kind: 'note', event: { kind: 'answered', machine: { mac: PC_MAC } } },
  ]);
  expect(answered.state.pending.size).toBe(0);
});

test.each<[string, Partial<Extract<Event, { kind: 'verdict' }>>, object]>([
  [
    'an unknown machine',
    { verdict: { kind: 'unknown', action: 'Ignore' } satisfies Verdict },
    { kind: 'silent', reason: 'UnknownDevice' },
  ],
  ['no data of the farm', { bootstrap: undefined }, { kind: 'dropped', reason: 'NoBootstrap' }],
])('%s gets not one packet', (_, more, event) => {
  const asked = step(fresh(), packet(), 0);
  const judged = step(asked.state, verdict(1, more), 1);
  expect(judged.effects).toMatchObject([{ kind: 'note', event }]);
});

test('a verdict that fails or comes too late sends nothing, and frees its place', () => {
  const asked = step(fresh(), packet(), 0).state;
  const failed = step(asked, { kind: 'noVerdict', id: 1, message: 'replica away' }, 1);
  expect([failed.effects, failed.state.pending.size]).toMatchObject([[{ event: { reason: 'NoVerdict' } }], 0]);
  const late = step(asked, verdict(1), MAX_VERDICT_MS);
  expect([late.effects, late.state.pending.size]).toMatchObject([[{ event: { reason: 'NoVerdict' } }], 0]);
  expect(step(late.state, verdict(1), MAX_VERDICT_MS).effects).toEqual([]);
});

test('garbage is noted, not answered', () => {
  const garbage: Event = {
    kind: 'packet',
    door: 'pxe',
    bytes: new Uint8Array(9),
    source: { address: '10.0.0.9', port: 9 },
  };
  expect(step(fresh(), garbage, 0).effects).toEqual([
    { kind: 'note', event: { kind: 'malformed', door: 'pxe', code: 'TooShort' } },
  ]);
});

test('questions without verdicts are bounded, and forgotten in time', () => {
  let state = fresh();
  for (let count = 0; count < MAX_PENDING; count += 1) state = step(state, packet(), 0).state;
  expect(step(state, packet(), 0).effects).toMatchObject([{ event: { kind: 'dropped', reason: 'Flood' } }]);
  expect(step(state, packet(), MAX_VERDICT_MS).effects).toMatchObject([{ kind: 'ask' }]);
});

test('answers are paced, and come again with time', () => {
  const answer = (state: State, nowMs: number) => {
    const asked = step(state, packet(), nowMs).state;
    return step(asked, verdict(asked.nextId - 1), nowMs);
  };
  let state = fresh();
  for (let count = 0; count < ANSWER_BURST; count += 1) state = answer(state, 0).state;
  expect(answer(state, 0).effects).toMatchObject([{ event: { kind: 'dropped', reason: 'Flood' } }]);
  expect(answer(state, 1).effects).toMatchObject([{ kind: 'send' }, { kind: 'note' }]);
});
