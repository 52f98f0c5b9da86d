import { expect, test } from '@jest/globals';
import { type Answers, type PhaseSeen, quantile, type ServerSeen, summary, tableOf, verdict } from './verdict.ts';

const answers = (more: Partial<Answers> = {}): Answers => ({
  ...{ count: 100, p50Ms: 1, p99Ms: 10, maxMs: 20, errors: 0, said: [] },
  ...more,
});
const server = (more: Partial<ServerSeen> = {}): ServerSeen => ({
  ...{
    name: 'node-a',
    ended: false,
    crashes: 0,
    rssMiB: 200,
    cpuPercent: 20,
    devices: 50,
    journalEntries: 0,
    toOtherPerSecond: 8,
  },
  ...{ drops: {}, ...more },
});
const phase = (more: Partial<PhaseSeen> = {}): PhaseSeen => ({
  ...{ name: 'rubbish', honest: { read: answers() }, servers: [server()], boots: [20], devicesAdded: 0 },
  ...{ attackers: { rubbish: 900 }, clientLagMs: 1, ...more },
});
const baseline = phase({ name: 'baseline' });
const missed = (seen: PhaseSeen): string[] =>
  verdict(baseline, [seen], { devices: 104 })
    .filter(({ ok }) => !ok)
    .map(({ phase, what, bar, seen: figure }) => `${phase}: ${what}: ${figure}, bar ${bar}`);

test.each<{ what: string; seen: Partial<PhaseSeen>; says: string[] }>([
  { what: 'nothing changed', seen: {}, says: [] },
  { what: 'p99 that nearly doubles', seen: { honest: { read: answers({ p99Ms: 19.9 }) } }, says: [] },
  {
    what: 'p99 that doubles',
    seen: { honest: { read: answers({ p99Ms: 20 }) } },
    says: ['rubbish: read: p99, ms: 20.0, bar < 20.0'],
  },
  { what: 'p99 of what is asked too rarely', seen: { honest: { status: answers({ p99Ms: 99 }) } }, says: [] },
  {
    what: 'an error',
    seen: { honest: { read: answers({ errors: 1, said: ['no answer'] }) } },
    says: ['rubbish: read: answered: 100, and 1 not: no answer, bar all'],
  },
  {
    what: 'nobody was heard at all',
    seen: { honest: { read: answers({ count: 0, p99Ms: 0 }) } },
    says: ['rubbish: read: answered: 0, bar all'],
  },
  {
    what: 'a server that ended',
    seen: { servers: [server({ ended: true })] },
    says: ['rubbish: node-a: runs: ended, bar yes'],
  },
  {
    what: 'a listener that threw',
    seen: { servers: [server({ crashes: 1 })] },
    says: ['rubbish: node-a: listeners that threw: 1, bar ≤ 0'],
  },
  {
    what: 'an attacker that got no processor',
    seen: { attackers: { rubbish: 900, tftp: 0 } },
    says: ['rubbish: attackers: packets or questions a second: 900, tftp none, bar each sends'],
  },
  {
    what: 'attackers that could not say what they sent',
    seen: { attackers: {} },
    says: ['rubbish: attackers: packets or questions a second: 0, bar each sends'],
  },
  { what: 'memory at its bound', seen: { servers: [server({ rssMiB: 456 })] }, says: [] },
  {
    what: 'memory over it',
    seen: { servers: [server({ rssMiB: 457 })] },
    says: ['rubbish: node-a: RSS, MiB: 457, bar ≤ 456'],
  },
  {
    what: 'sessions counted as devices',
    seen: { servers: [server({ devices: 400 })] },
    says: ['rubbish: node-a: devices counted: 400, bar ≤ 104'],
  },
  {
    what: 'a journal that grows by the packet',
    seen: { servers: [server({ journalEntries: 18_340 })] },
    says: ['rubbish: node-a: journal entries: 18340, bar ≤ 104'],
  },
  {
    what: 'two servers that talk for ever',
    seen: { servers: [server({ toOtherPerSecond: 65_000 })] },
    says: ['rubbish: node-a: packets a second to the other server: 65000, bar ≤ 100'],
  },
  {
    what: 'a machine that did not boot',
    seen: { boots: [12, 'never up', 40] },
    says: ['rubbish: a machine boots: never up, bar < 40.0 s', 'rubbish: a machine boots: 40 s, bar < 40.0 s'],
  },
  { what: 'a farm that fills', seen: { devicesAdded: 2_814 }, says: ['rubbish: devices added: 2814, bar ≤ 40'] },
])('$what', ({ seen, says }) => expect(missed(phase(seen))).toEqual(says));

test('the baseline is judged too, but not by itself', () => {
  const rows = verdict(phase({ servers: [server({ ended: true })] }), [], { devices: 104 });
  expect(rows.filter(({ ok }) => !ok).map(({ what }) => what)).toEqual(['node-a: runs']);
  expect(rows.some(({ what }) => what.includes('p99'))).toBe(false);
});

test.each([
  [[], 0.99, 0],
  [[7], 0.99, 7],
  [[1, 2, 3, 4], 0.5, 2],
  [Array.from({ length: 100 }, (_, at) => at + 1), 0.99, 99],
])('quantile of %j at %d is %d', (sorted, share, wanted) => expect(quantile(sorted, share)).toBe(wanted));

test('a summary keeps the first errors', () => {
  expect(summary([3, 1, 2], ['a', 'b', 'c', 'd'])).toEqual({
    ...{ count: 3, p50Ms: 2, p99Ms: 3, maxMs: 3, errors: 4, said: ['a', 'b', 'c'] },
  });
});

test('the table has a line a row, and says which was missed', () => {
  const rows = verdict(baseline, [phase({ devicesAdded: 101 })], { devices: 104 });
  const lines = tableOf(rows).split('\n');
  expect(lines).toHaveLength(1 + rows.length);
  expect(lines.filter((line) => line.startsWith('✗'))).toEqual([expect.stringContaining('devices added')]);
});
