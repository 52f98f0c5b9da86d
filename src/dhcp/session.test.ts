import { expect, test } from '@jest/globals';
import { aBoot } from '../../test/builders/farm.ts';
import { aRequest, PC_MAC } from '../../test/builders/pxe.ts';
import type { Own } from '../net/source.ts';
import type { Verdict } from './answer.ts';
import {
  ANSWERS_OF_MACHINE,
  ANSWERS_TO_UNKNOWN,
  MAX_ASKING,
  MAX_PENDING,
  MAX_VERDICT_MS,
  RELAY_KEPT_MS,
  RELAYS,
} from './limits.ts';
import { encode, type Packet } from './packet.ts';
import { type Event, type State, start, step } from './session.ts';

const SELF = { address: '10.0.0.11', httpPort: 8069 };
const bootstrap = { farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] };
const OWN: Own = { addresses: ['10.0.0.11'], ports: [67, 4011], broadcasts: ['10.0.0.255'], loopback: false };
const fresh = (): State => start(SELF, OWN);
/** The `n`-th machine of many. */
const machine = (n: number, fields: Partial<Packet> = {}): Packet =>
  aRequest({}, { chaddr: Uint8Array.of(0x52, 0x54, 1, n >> 16, n >> 8, n), ...fields });
const packet = (request: Packet = aRequest()): Event => {
  const encoded = encode(request, 1_500);
  if (!encoded.ok) throw new Error(encoded.error.message);
  return { kind: 'packet', listener: 'dhcp', bytes: encoded.value, source: { address: '0.0.0.0', port: 68 } };
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
  expect(asked.effects).toEqual([
    { kind: 'ask', id: 1, machine: { mac: PC_MAC, architecture: 0 }, source: { address: '0.0.0.0', port: 68 } },
  ]);
  const answered = step(asked.state, verdict(1), 1);
  expect(answered.effects).toMatchObject([
    {
      ...{ kind: 'send', listener: 'dhcp', to: { address: '255.255.255.255', port: 68 } },
      sent: { kind: 'answered', machine: { mac: PC_MAC } },
    },
  ]);
  expect(answered.effects).toHaveLength(1); // nothing is answered before it is sent
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
  const asked = (): State => step(fresh(), packet(), 0).state;
  const failed = step(asked(), { kind: 'noVerdict', id: 1, message: 'replica away' }, 1);
  expect([failed.effects, failed.state.pending.size]).toMatchObject([[{ event: { reason: 'NoVerdict' } }], 0]);
  const late = step(asked(), verdict(1), MAX_VERDICT_MS);
  expect([late.effects, late.state.pending.size]).toMatchObject([[{ event: { reason: 'NoVerdict' } }], 0]);
  expect(step(late.state, verdict(1), MAX_VERDICT_MS).effects).toEqual([]);
});

test('garbage is noted, not answered', () => {
  const garbage: Event = {
    kind: 'packet',
    listener: 'pxe',
    bytes: new Uint8Array(9),
    source: { address: '10.0.0.9', port: 9 },
  };
  expect(step(fresh(), garbage, 0).effects).toEqual([
    { kind: 'note', event: { kind: 'malformed', listener: 'pxe', code: 'TooShort' } },
  ]);
});

test('questions without verdicts are bounded: the oldest that was not asked gives way, and who comes after a flood is asked for', () => {
  let state = fresh();
  for (let n = 0; n < MAX_PENDING; n += 1) state = step(state, packet(machine(n)), 0).state;
  const next = step(state, packet(machine(MAX_PENDING)), 0);
  expect(next.effects).toMatchObject([{ event: { kind: 'dropped', reason: 'GaveWay' } }]);
  expect([next.state.pending.size, next.state.waiting.size]).toEqual([MAX_PENDING, MAX_PENDING]);
  const late = step(next.state, verdict(1), 1);
  expect(late.effects).toMatchObject([{ kind: 'send' }, { kind: 'ask', id: MAX_ASKING + 2 }]);
  expect(late.state.pending.has(MAX_PENDING + 1)).toBe(true);
  expect(step(late.state, verdict(2), 1).effects).toMatchObject([{ kind: 'send' }, { kind: 'ask' }]);
});

test('so many verdicts are under way and no more, in any flood; each that ends lets the next one be asked', () => {
  let state = fresh();
  let asked = 0;
  const does = (event: Event): void => {
    const next = step(state, event, 0);
    state = next.state;
    asked += next.effects.filter(({ kind }) => kind === 'ask').length;
  };
  for (let n = 0; n < 3_000; n += 1) does(packet(machine(n)));
  expect([asked, state.asking]).toEqual([MAX_ASKING, MAX_ASKING]);
  for (let id = 1; id <= MAX_ASKING; id += 1) does({ kind: 'noVerdict', id, message: 'away' });
  expect([asked, state.asking]).toEqual([2 * MAX_ASKING, MAX_ASKING]);
});

test.each<[string, Parameters<typeof aRequest>[1], string, object]>([
  ['our own network', {}, '0.0.0.0', {}],
  ['an address that it has', {}, '10.77.0.50', { from: '10.77.0.50' }],
  ['a relay', { giaddr: '10.7.0.1' }, '10.7.0.1', { relay: '10.7.0.1' }],
])('whose question it was is told with its answer or silence: from %s', (_, fields, address, way) => {
  const asked = step(fresh(), { ...packet(aRequest({}, fields)), source: { address, port: 68 } } as Event, 0);
  const known = step(asked.state, verdict(1), 1).effects.map((effect) => ('sent' in effect ? effect.sent : undefined));
  expect(known).toEqual([expect.objectContaining({ machine: { mac: PC_MAC, architecture: 0 }, ...way })]);
  const again = step(asked.state, { ...packet(aRequest({}, fields)), source: { address, port: 68 } } as Event, 0);
  const unknown = { kind: 'unknown', action: 'Ignore', reason: { code: 'OtherSite', message: '' } } as const;
  expect(step(again.state, verdict(2, { verdict: unknown }), 1).effects).toMatchObject([
    { kind: 'note', event: { kind: 'silent', verdict: unknown, ...way } },
  ]);
});

test('a machine that asks again waits once', () => {
  let state = fresh();
  for (let n = 0; n < 9; n += 1) state = step(state, packet(), 0).state;
  expect([[...state.pending.keys()], state.waiting.size]).toEqual([[9], 1]);
});

/** The effects of a question and its verdict. */
function answer(state: State, request: Packet, nowMs: number, given?: Verdict) {
  const asked = step(state, packet(request), nowMs).state;
  const told = step(asked, verdict(asked.nextId - 1, given && { verdict: given }), nowMs);
  return { state: told.state, sent: told.effects.some(({ kind }) => kind === 'send'), effects: told.effects };
}

/** How many of `times` answers go out. */
function answers(state: State, times: number, request: (n: number) => Packet, given?: Verdict): number {
  let sent = 0;
  for (let n = 0; n < times; n += 1) sent += Number(answer(state, request(n), 0, given).sent);
  return sent;
}
const SCREEN: Verdict = { kind: 'unknown', action: 'Screen' };

test('answers to one machine are paced, come again with time, and take nothing from another', () => {
  let state = fresh();
  for (let n = 0; n < 100; n += 1) state = answer(state, aRequest(), 0).state;
  expect(answer(state, aRequest(), 0).effects).toMatchObject([{ event: { kind: 'dropped', reason: 'Flood' } }]);
  expect(answer(state, machine(1), 0).sent).toBe(true);
  expect(answer(state, aRequest({}, { giaddr: '10.7.0.1' }), 0).sent).toBe(true);
  expect(answer(state, aRequest(), 1_000 / ANSWERS_OF_MACHINE.perSecond).sent).toBe(true);
});

test('a thousand machines and more that the farm knows are answered at once', () => {
  expect(answers(fresh(), 2_000, machine)).toBe(2_000);
});

test('made-up machines have a budget by relay, and take nothing from known ones', () => {
  const state = fresh();
  expect(answers(state, 2_000, machine, SCREEN)).toBe(ANSWERS_TO_UNKNOWN.burst);
  expect(answer(state, machine(9_000), 0).sent).toBe(true);
  expect(answer(state, machine(9_001, { giaddr: '10.7.0.1' }), 0, SCREEN).sent).toBe(true);
});

/** The `n`-th relay of many. */
const behind = (n: number): Partial<Packet> => ({ giaddr: `10.7.${n >> 8}.${n & 255}` });

test('a machine has three budgets whatever relays are named; where it was heard first, its own', () => {
  const state = fresh();
  expect(answer(state, aRequest({}, behind(1)), 0).sent).toBe(true);
  expect(answers(state, 2_000, (n) => aRequest({}, behind(n + 2)))).toBe(ANSWERS_OF_MACHINE.burst);
  expect(answers(state, 2_000, () => aRequest({}, behind(1)))).toBe(ANSWERS_OF_MACHINE.burst - 1);
  expect(answers(state, 2_000, () => aRequest())).toBe(ANSWERS_OF_MACHINE.burst);
});

test('a machine that was not heard behind its relay for long is at home behind another', () => {
  const state = fresh();
  answers(state, 99, () => aRequest({}, behind(1)));
  answers(state, 99, (n) => aRequest({}, behind(n + 2)));
  expect(answer(state, aRequest({}, behind(7)), RELAY_KEPT_MS).sent).toBe(true);
  for (let n = 0; n < 99; n += 1) answer(state, aRequest({}, behind(n + 200)), RELAY_KEPT_MS);
  expect(answer(state, aRequest({}, behind(7)), RELAY_KEPT_MS).sent).toBe(true);
});

test('made-up machines behind made-up relays have one budget beyond those of the first ones', () => {
  const state = fresh();
  answers(state, RELAYS, (n) => machine(n, behind(n)), SCREEN);
  const made = (n: number): Packet => machine(1_000 + n, behind(1_000 + n));
  expect(answers(state, 3_000, made, SCREEN)).toBe(ANSWERS_TO_UNKNOWN.burst);
  expect(answer(state, machine(9_000, behind(3)), 0, SCREEN).sent).toBe(true);
});

test('made-up machines without end make no known one be forgotten', () => {
  const state = fresh();
  answers(state, 99, () => aRequest());
  answers(state, ANSWERS_OF_MACHINE.keys + 1, machine, SCREEN);
  expect(answer(state, aRequest(), 0).sent).toBe(false);
});

test('in a flood that is faster than verdicts each verdict is an answer still', () => {
  let state = fresh();
  const asked: number[] = [];
  let sent = 0;
  const does = (event: Event): void => {
    const next = step(state, event, 0);
    state = next.state;
    for (const effect of next.effects) {
      if (effect.kind === 'ask') asked.push(effect.id);
      if (effect.kind === 'send') sent += 1;
    }
  };
  for (let n = 0; n < 10_000; n += 1) {
    does(packet(machine(n)));
    if (n % 2 === 0) does(verdict(asked.shift() ?? 0));
  }
  expect(sent).toBe(5_000);
});

test('our own question is answered in any flood', () => {
  const state = fresh();
  answers(state, 100, () => aRequest(), SCREEN);
  const asked = step(state, packet(), 0).state;
  const told = step(asked, verdict(asked.nextId - 1, { verdict: SCREEN, probe: true }), 0);
  expect(told.effects).toMatchObject([{ kind: 'send' }]);
});

test.each([
  ['our own address', '10.0.0.11'],
  ['a broadcast', '10.0.0.255'],
  ['everybody', '255.255.255.255'],
  ['multicast', '224.0.0.1'],
  ['loopback', '127.0.0.1'],
])('a relay that is %s is none', (_, giaddr) => {
  expect(step(fresh(), packet(aRequest({}, { giaddr })), 0).effects).toMatchObject([
    { event: { kind: 'silent', reason: 'BadRelay' } },
  ]);
});
