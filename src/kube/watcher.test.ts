import { describe, expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import type { ApiFaultCode } from './fault.ts';
import { reconnectMs, step, type WatcherInput, type WatcherState } from './watcher.ts';

const start: WatcherState = { is: 'Start' };
const listed: WatcherState = { is: 'Listed', resourceVersion: '5' };
const watching: WatcherState = { is: 'Watching', resourceVersion: '5' };
const a = anObject({ name: 'a', resourceVersion: '6' });
const b = anObject({ name: 'b', resourceVersion: '7' });
const failed = (code: ApiFaultCode): WatcherInput => ({ is: 'Failed', fault: { code, message: '' } });
const error = (code: ApiFaultCode): WatcherInput => ({
  is: 'Event',
  event: { type: 'ERROR', fault: { code, message: '' } },
});

describe('a watcher', () => {
  test('lists page by page, and only the last page is a snapshot of all', () => {
    const first = step(start, { is: 'Page', items: [a], resourceVersion: '9', continue: 'more' });
    expect(first).toEqual({ state: { is: 'Listing', items: [a], continue: 'more' } });
    expect(step(first.state, { is: 'Page', items: [b], resourceVersion: '9' })).toEqual({
      state: { is: 'Listed', resourceVersion: '9' },
      change: { is: 'Snapshot', objects: [a, b] },
    });
  });

  test('watches from where the list was, and follows events and bookmarks', () => {
    expect(step(listed, { is: 'Opened' })).toEqual({ state: watching });
    expect(step(watching, { is: 'Event', event: { type: 'MODIFIED', object: a } })).toEqual({
      state: { is: 'Watching', resourceVersion: '6' },
      change: { is: 'Put', object: a },
      health: 'healthy',
    });
    expect(step(watching, { is: 'Event', event: { type: 'DELETED', object: b } })).toMatchObject({
      state: { resourceVersion: '7' },
      change: { is: 'Remove', object: b },
    });
    expect(step(watching, { is: 'Event', event: { type: 'BOOKMARK', resourceVersion: '8' } })).toEqual({
      state: { is: 'Watching', resourceVersion: '8' },
      health: 'healthy',
    });
  });

  test.each<[string, WatcherState, WatcherInput, WatcherState, 'failed' | undefined]>([
    ['a list that fails is tried again', start, failed('Unreachable'), start, 'failed'],
    [
      'a page that fails is tried again',
      { is: 'Listing', items: [a], continue: 'x' },
      failed('TimedOut'),
      { is: 'Listing', items: [a], continue: 'x' },
      'failed',
    ],
    [
      'a continue token that is gone starts the list over',
      { is: 'Listing', items: [a], continue: 'x' },
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
    ['a watch that ended goes on where it was', watching, { is: 'Ended' }, listed, undefined],
    ['a silent watch goes on where it was', watching, { is: 'Silent' }, listed, 'failed'],
    ['the time for a repair lists again', watching, { is: 'Relist' }, start, undefined],
  ])('%s', (_, state, input, next, health) => {
    expect(step(state, input)).toEqual({ state: next, ...(health ? { health } : {}) });
  });

  test('an input that its state can not get is a bug', () => {
    expect(() => step(start, { is: 'Opened' })).toThrow('a watcher that is Start got Opened');
  });
});

test('waits between failures grow to 30 s, and are longer when the API asks', () => {
  expect([0, 1, 2, 9].map((n) => reconnectMs(n, undefined, () => 1))).toEqual([500, 1_000, 2_000, 30_000]);
  expect(reconnectMs(0, { code: 'TooManyRequests', message: '', retryAfterMs: 4_000 }, () => 0)).toBe(4_000);
});
