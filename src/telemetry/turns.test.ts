import { expect, test } from '@jest/globals';
import { isStuck, looked, type Thread, type Turn } from './turns.ts';

const thread: Thread = { name: 'stream 0', patienceMs: 10_000, cells: new Float64Array(1), at: 0 };

/** The turn after looks at these values of the cell, `everyMs` apart. */
const after = (values: readonly number[], everyMs = 500): Turn | undefined =>
  values.reduce<Turn | undefined>((turn, value) => looked(turn, value, everyMs), undefined);

test.each([
  { what: 'was not looked at yet', turn: undefined, stuck: false },
  { what: 'turns', turn: after([1, 2, 3]), stuck: false },
  { what: 'stood still for its patience', turn: after(new Array(21).fill(5)), stuck: false },
  { what: 'stood still for longer', turn: after(new Array(22).fill(5)), stuck: true },
  { what: 'turned again after that', turn: after([...new Array(22).fill(5), 6]), stuck: false },
  { what: 'is looked at after a process that slept for an hour', turn: after([5, 5], 3_600_000), stuck: false },
  { what: 'began anew', turn: after([...new Array(22).fill(5), 0]), stuck: false },
])('a thread that $what: stuck $stuck', ({ turn, stuck }) => {
  expect(isStuck(thread, turn)).toBe(stuck);
});
