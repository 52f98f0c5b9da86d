import { describe, expect, test } from '@jest/globals';
import {
  BURST,
  COUNT_EVERY_MS,
  EventBook,
  type EventSaying,
  MAX_REMEMBERED,
  REFILL_MS,
  SERIES_MS,
} from './event-book.ts';

const saying = (note = 'the file is missing'): EventSaying => ({
  type: 'Warning',
  reason: 'Missing',
  action: 'Look',
  note,
});

describe('events', () => {
  test('said again are one, whose count is written at most once a minute', () => {
    const book = new EventBook();
    expect(book.record('uid', saying(), 'first', 0)).toMatchObject({ kind: 'Create' });
    expect(book.record('uid', saying(), 'second', 1_000)).toEqual({ kind: 'Drop', why: 'Repeated' });
    expect(book.record('uid', saying(), 'third', COUNT_EVERY_MS)).toMatchObject({
      kind: 'Count',
      name: 'first',
      count: 3,
    });
    expect(book.record('uid', saying(), 'x', COUNT_EVERY_MS + 1)).toMatchObject({ kind: 'Drop' });
  });

  test('said again much later, or about another object, or with another note, are others', () => {
    const book = new EventBook();
    book.record('uid', saying(), 'first', 0);
    expect(book.record('uid', saying(), 'second', SERIES_MS)).toMatchObject({ kind: 'Create' });
    expect(book.record('other', saying(), 'third', SERIES_MS)).toMatchObject({ kind: 'Create' });
    expect(book.record('uid', saying('another'), 'fourth', SERIES_MS)).toMatchObject({ kind: 'Create' });
  });

  test('that could not be written are made anew', () => {
    const book = new EventBook();
    const first = book.record('uid', saying(), 'first', 0);
    if (first.kind !== 'Create') throw new Error('not made');
    book.forget(first.id);
    expect(book.record('uid', saying(), 'second', 1)).toMatchObject({ kind: 'Create' });
  });

  test('of one object are limited, and others are not held up by it', () => {
    const book = new EventBook();
    const storm = Array.from({ length: BURST + 5 }, (_, n) => book.record('uid', saying(`note ${n}`), 'x', 0).kind);
    expect(storm.filter((is) => is === 'Create')).toHaveLength(BURST);
    expect(book.record('other', saying(), 'x', 0).kind).toBe('Create');
    expect(book.record('uid', saying('late'), 'x', REFILL_MS - 1).kind).toBe('Drop');
    expect(book.record('uid', saying('late'), 'x', REFILL_MS).kind).toBe('Create');
  });

  test('are forgotten, oldest first, when there are too many', () => {
    const book = new EventBook();
    for (let n = 0; n <= MAX_REMEMBERED; n += 1) book.record(`uid-${n}`, saying(), 'x', 0);
    expect(book.record('uid-0', saying(), 'x', 0).kind).toBe('Create');
    expect(book.record(`uid-${MAX_REMEMBERED}`, saying(), 'x', 0).kind).toBe('Drop');
  });
});
