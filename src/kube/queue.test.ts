import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { KeyQueue } from './queue.ts';

const fixedRandom = () => 1;
const taken = (queue: KeyQueue, nowMs: number) => queue.take(nowMs)?.key;

describe('a queue of keys', () => {
  test('gives keys in the order they came, each once', () => {
    const queue = new KeyQueue();
    for (const key of ['a', 'b', 'a']) queue.touch(key, 'edit', 0);
    expect([taken(queue, 0), taken(queue, 0), taken(queue, 0)]).toEqual(['a', 'b', undefined]);
  });

  test('gives edits before resyncs, and an edit raises a resync', () => {
    const queue = new KeyQueue();
    for (const key of ['a', 'b', 'c']) queue.touch(key, 'resync', 0);
    queue.touch('d', 'edit', 0);
    queue.touch('c', 'edit', 0);
    expect([1, 2, 3, 4].map((now) => taken(queue, now))).toEqual(['d', 'c', 'a', 'b']);
  });

  test('does not give a running key; touched meanwhile, it comes again when done', () => {
    const queue = new KeyQueue();
    queue.touch('a', 'edit', 0);
    expect(queue.take(7)).toEqual({ key: 'a', waitedMs: 7 });
    queue.touch('a', 'resync', 8);
    expect(queue.take(8)).toBeUndefined();
    queue.done('a', { kind: 'Forget' }, 9);
    expect(queue.take(9)).toEqual({ key: 'a', waitedMs: 0 });
    queue.done('a', { kind: 'Forget' }, 10);
    expect(queue.take(1e9)).toBeUndefined();
  });

  test('waits 5 ms, 10 ms, … up to 5 min for a key that fails, and starts over when it does not', () => {
    const queue = new KeyQueue(fixedRandom);
    queue.touch('a', 'edit', 0);
    const waits: number[] = [];
    for (let now = 0, failures = 0; failures < 20; failures += 1) {
      expect(taken(queue, now)).toBe('a');
      queue.done('a', { kind: 'Failed' }, now);
      const due = queue.nextDueMs() ?? Number.NaN;
      waits.push(due - now);
      expect(taken(queue, due - 0.1)).toBeUndefined();
      now = due;
    }
    expect(waits.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(waits.at(-1)).toBe(300_000);
    const later = (queue.nextDueMs() ?? 0) + 1;
    expect(taken(queue, later)).toBe('a');
    queue.done('a', { kind: 'After', ms: 50 }, later);
    expect(queue.nextDueMs()).toBe(later + 50);
    expect(taken(queue, later + 50)).toBe('a');
    queue.done('a', { kind: 'Failed' }, later + 50);
    expect(queue.nextDueMs()).toBe(later + 55);
  });

  test('an edit cuts a back-off short, a resync does not, and neither forgets how often the key failed', () => {
    const queue = new KeyQueue(fixedRandom);
    queue.touch('a', 'edit', 0);
    queue.take(0);
    queue.done('a', { kind: 'Failed' }, 0);
    queue.touch('a', 'resync', 1);
    expect(taken(queue, 1)).toBeUndefined();
    queue.touch('a', 'edit', 2);
    expect(taken(queue, 2)).toBe('a');
    queue.done('a', { kind: 'Failed' }, 2);
    expect(queue.nextDueMs()).toBe(12);
  });

  test('`after` counts the earliest, also while the key runs', () => {
    const queue = new KeyQueue();
    queue.after('a', 100, 0);
    queue.after('a', 50, 0);
    queue.after('a', 70, 0);
    expect(queue.nextDueMs()).toBe(50);
    expect(taken(queue, 50)).toBe('a');
    queue.after('a', 30, 50);
    queue.done('a', { kind: 'After', ms: 1_000 }, 60);
    expect(queue.nextDueMs()).toBe(80);
  });

  test('a key that is done must have been running', () => {
    expect(() => new KeyQueue().done('a', { kind: 'Forget' }, 0)).toThrow('key a is done, but was not running');
  });
});

/** What may happen to a queue, with a few keys and small times so that things collide. */
const keys = fc.constantFrom('a', 'b', 'c');
const event = fc.oneof(
  fc.record({
    do: fc.constant('touch' as const),
    key: keys,
    priority: fc.constantFrom('edit' as const, 'resync' as const),
  }),
  fc.record({ do: fc.constant('after' as const), key: keys, ms: fc.nat(20) }),
  fc.record({ do: fc.constant('take' as const) }),
  fc.record({
    do: fc.constant('done' as const),
    pick: fc.nat(2),
    done: fc.constantFrom({ kind: 'Forget' as const }, { kind: 'Failed' as const }, { kind: 'After' as const, ms: 3 }),
  }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.nat(10) }),
);

test('a key never runs twice at once, and every touch is followed by a run that starts after it', () => {
  const seed = 20_261_123;
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const queue = new KeyQueue(() => 0.5);
      const running = new Set<string>();
      const owed = new Set<string>(); // touched, and no run started since
      let now = 0;
      const take = () => {
        const key = queue.take(now)?.key;
        if (key === undefined) return false;
        expect(running.has(key)).toBe(false);
        running.add(key);
        owed.delete(key);
        return true;
      };
      for (const step of events) {
        if (step.do === 'touch') {
          queue.touch(step.key, step.priority, now);
          owed.add(step.key);
        } else if (step.do === 'after') {
          queue.after(step.key, step.ms, now);
          owed.add(step.key);
        } else if (step.do === 'take') take();
        else if (step.do === 'pass') now += step.ms;
        else {
          const key = [...running][step.pick];
          if (key === undefined) continue;
          running.delete(key);
          queue.done(key, step.done, now);
        }
      }
      for (const key of running) queue.done(key, { kind: 'Forget' }, now);
      running.clear();
      for (let due = queue.nextDueMs(); owed.size > 0; due = queue.nextDueMs()) {
        for (const key of running) queue.done(key, { kind: 'Forget' }, now);
        running.clear();
        if (!take()) {
          if (due === undefined) break;
          now = Math.max(now, due);
        }
      }
      expect([...owed]).toEqual([]);
    }),
    { seed, numRuns: 2_000 },
  );
});
