import { describe, expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import type { ApiFaultCode } from './fault.ts';
import { reconnectMs, step, type WatcherInput, type WatcherState } from './watcher.ts';

const start: WatcherState = { kind: 'Start' };
const listed: WatcherState = { kind: 'Listed', resourceVersion: '5' };
const watching: WatcherState = { kind: 'Watching', resourceVersion: '5' };
const a = anObject({ name: 'a', resourceVersion: '6' });
const b = anObject({ name: 'b', resourceVersion: '7' });
const failed = (code: ApiFaultCode): WatcherInput => ({ kind: 'Failed', fault: { code, message: '' } });
const error = (code: ApiFaultCode): WatcherInput => ({
  kind: 'Event',
  event: { type: 'ERROR', fault: { code, message: '' } },
});

describe('a watcher', () => {
  test('lists page by page, and only the last page is a snapshot of all', () => {
    const first = step(start, { kind: 'Page', items: [a], resourceVersion: '9', continue: 'more' });
    expect(first).toEqual({ state: { kind: 'Listing', items: [a], continue: 'more' } });
    expect(step(first.state, { kind: 'Page', items: [b], resourceVersion: '9' })).toEqual({
      state: { kind: 'Listed', resourceVersion: '9' },
      change: { kind: 'Snapshot', objects: [a, b] },
    });
  });

  test('watches from where the list was, and follows events and bookmarks', () => {
    expect(step(listed, { kind: 'Opened' })).toEqual({ state: watching });
    expect(step(watching, { kind: 'Event', event: { type: 'MODIFIED', object: a } })).toEqual({
      state: { kind: 'Watching', resourceVersion: '6' },
      change: { kind: 'Put', object: a },
      health: 'healthy',
    });
    expect(step(watching, { kind: 'Event', event: { type: 'DELETED', object: b } })).toMatchObject({
      state: { resourceVersion: '7' },
      change: { kind: 'Remove', object: b },
    });
    expect(step(watching, { kind: 'Event', event: { type: 'BOOKMARK', resourceVersion: '8' } })).toEqual({
      state: { kind: 'Watching', resourceVersion: '8' },
      health: 'healthy',
    });
  });

  test.each<[string, WatcherState, WatcherInput, WatcherState, 'failed' | undefined]>([
    ['a list that fails is tried again', start, failed('Unreachable'), start, 'failed'],
    [
      'a page that fails is tried again',
      { kind: 'Listing', items: [a], continue: 'x' },
      failed('TimedOut'),
      { kind: 'Listing', items: [a], continue: 'x' },
      'failed',
    ],
    [
      'a continue token that is gone starts the list over',
      { kind: 'Listing', items: [a], continue: 'x' },
      failed('Gone'),
      start,
      'failed',
    ],
    ['a watch refused as gone lists again (410 by HTTP)', listed, failed('Gone'), start, 'failed'],
    ['a watch refused as invalid lists again', listed, failed('Invalid'), start, 'failed'],
    ['a watch of a kind that is gone lists again', listed, failed('NotFound'), start, 'failed'],
    ['an unreachable API leaves the watch where it was', listed, failed('Unreachable'), listed, 'failed'],
    ['missing rights leave the watch where it was', listed, failed('Forbidden'), listed, 'failed'],
    ['an ERROR event that says gone lists again (410 by event)', watching, error('Gone'), start, 'failed'],
    ['a broken watch goes on where it was', watching, error('Unreachable'), listed, 'failed'],
    ['a watch that ended goes on where it was', watching, { kind: 'Ended' }, listed, undefined],
    ['a silent watch goes on where it was', watching, { kind: 'Silent' }, listed, 'failed'],
    ['the time for a repair lists again', watching, { kind: 'Relist' }, start, undefined],
  ])('%s', (_, state, input, next, health) => {
    expect(step(state, input)).toEqual({ state: next, ...(health ? { health } : {}) });
  });

  test('an input that its state can not get is a bug', () => {
    expect(() => step(start, { kind: 'Opened' })).toThrow('a watcher that is Start got Opened');
  });
});

test('waits between failures grow to 30 s, and are longer when the API asks', () => {
  expect([0, 1, 2, 9].map((n) => reconnectMs(n, undefined, () => 1))).toEqual([500, 1_000, 2_000, 30_000]);
  expect(reconnectMs(0, { code: 'TooManyRequests', message: '', retryAfterMs: 4_000 }, () => 0)).toBe(4_000);
});
