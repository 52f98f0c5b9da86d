import { describe, expect, test } from '@jest/globals';
import {
  type Condition,
  conditionsOf,
  type Observed,
  REASONS,
  removeCondition,
  setCondition,
  TYPES,
} from './conditions.ts';

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second, 123));
const ready = (more: Partial<Condition> = {}): Condition => ({
  type: 'Ready',
  status: 'True',
  reason: 'Settled',
  message: 'serves',
  lastTransitionTime: '2026-01-01T00:00:00Z',
  ...more,
});

describe('setCondition', () => {
  const cases = [
    {
      what: 'a new condition takes the time of now',
      before: [],
      claim: { status: 'True' },
      time: '2026-01-01T00:00:09Z',
    },
    {
      what: 'the same status keeps its time',
      before: [ready()],
      claim: { status: 'True' },
      time: '2026-01-01T00:00:00Z',
    },
    {
      what: 'another message keeps the time',
      before: [ready()],
      claim: { status: 'True', message: 'other' },
      time: '2026-01-01T00:00:00Z',
    },
    {
      what: 'another status moves the time',
      before: [ready()],
      claim: { status: 'False' },
      time: '2026-01-01T00:00:09Z',
    },
  ] as const;
  test.each(cases)('$what', ({ before, claim, time }) => {
    const list = setCondition(before, { type: 'Ready', reason: 'Settled', message: 'serves', ...claim }, at(9));
    expect(list).toEqual([ready({ ...claim, lastTransitionTime: time })]);
  });

  test('keeps the order of the list and the other conditions', () => {
    const before = [ready(), ready({ type: 'Replicated' })];
    const after = setCondition(before, { type: 'Ready', status: 'False', reason: 'Copying', message: '' }, at(1));
    expect(after.map(({ type }) => type)).toEqual(['Ready', 'Replicated']);
    expect(after[1]).toBe(before[1]);
    expect(removeCondition(after, 'Ready')).toEqual([before[1]]);
  });

  test('a message never exceeds what the CRD takes', () => {
    const [condition] = setCondition(
      [],
      { type: 'Ready', status: 'True', reason: 'Settled', message: 'x'.repeat(40_000) },
      at(0),
    );
    expect(condition?.message).toHaveLength(32_768);
  });
});

describe('the status contract: which conditions a observed gives', () => {
  const fault = { reason: 'SecretMissing', message: 'm' } as const;
  const cases: readonly { what: string; observed: Omit<Observed, 'generation'>; gives: readonly string[] }[] = [
    { what: 'it serves', observed: { verdict: { kind: 'ready', message: '' } }, gives: ['Ready=True Settled'] },
    {
      what: 'it serves and work goes on',
      observed: { verdict: { kind: 'ready', message: '', progress: { reason: 'RollingOut', message: '' } } },
      gives: ['Ready=True Settled', 'Reconciling=True RollingOut'],
    },
    {
      what: 'it serves, worse than wanted',
      observed: { verdict: { kind: 'ready', message: '' }, degraded: { reason: 'ServerUnreachable', message: '' } },
      gives: ['Ready=True Settled', 'Degraded=True ServerUnreachable'],
    },
    {
      what: 'not yet',
      observed: { verdict: { kind: 'reconciling', ...fault } },
      gives: ['Ready=False SecretMissing', 'Reconciling=True SecretMissing'],
    },
    {
      what: 'never, as the spec is',
      observed: { verdict: { kind: 'stalled', ...fault } },
      gives: ['Ready=False SecretMissing', 'Stalled=True SecretMissing'],
    },
    {
      what: 'the conditions of the kind come last',
      observed: {
        verdict: { kind: 'ready', message: '' },
        claims: [{ type: 'Replicated', status: 'False', reason: 'CopiesBehind', message: '' }],
      },
      gives: ['Ready=True Settled', 'Replicated=False CopiesBehind'],
    },
  ];
  const shown = (list: readonly Condition[]) => list.map(({ type, status, reason }) => `${type}=${status} ${reason}`);

  test.each(cases)('$what', ({ observed, gives }) => {
    expect(shown(conditionsOf([], { ...observed, generation: 1 }, at(0)))).toEqual(gives);
  });

  test.each(cases)('$what: the same observed again writes nothing', ({ observed }) => {
    const first = conditionsOf([], { ...observed, generation: 1 }, at(0));
    expect(conditionsOf(first, { ...observed, generation: 1 }, at(50))).toEqual(first);
  });

  test('what held before and is not said again is gone, whatever the order of looks', () => {
    for (const before of cases)
      for (const after of cases) {
        const first = conditionsOf([], { ...before.observed, generation: 1 }, at(0));
        const second = conditionsOf(first, { ...after.observed, generation: 2 }, at(1));
        expect(shown(second).sort()).toEqual([...after.gives].sort());
        expect(second.every(({ observedGeneration }) => observedGeneration === 2)).toBe(true);
      }
  });
});

test.each([
  ['type', TYPES],
  ['reason', REASONS],
])('each %s is CamelCase and its own name', (_, table) => {
  for (const [key, value] of Object.entries(table)) {
    expect(value).toBe(key);
    expect(value).toMatch(/^[A-Z][A-Za-z]+$/);
  }
});
