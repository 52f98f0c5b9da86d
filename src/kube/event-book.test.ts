import { describe, expect, test } from '@jest/globals';
import { burst, countEveryMs, EventBook, type EventSaying, maxRemembered, refillMs, seriesMs } from './event-book.ts';

const saying = (note = 'the file is missing'): EventSaying => ({
  type: 'Warning',
  reason: 'Missing',
  action: 'Look',
  note,
});

describe('events', () => {
  test('said again are one, whose count is written at most once a minute', () => {
    const book = new EventBook();
    expect(book.record('uid', saying(), 'first', 0)).toMatchObject({ is: 'Create' });
    expect(book.record('uid', saying(), 'second', 1_000)).toEqual({ is: 'Drop', why: 'Repeated' });
    expect(book.record('uid', saying(), 'third', countEveryMs)).toMatchObject({ is: 'Count', name: 'first', count: 3 });
    expect(book.record('uid', saying(), 'x', countEveryMs + 1)).toMatchObject({ is: 'Drop' });
  });

  test('said again much later, or about another object, or with another note, are others', () => {
    const book = new EventBook();
    book.record('uid', saying(), 'first', 0);
    expect(book.record('uid', saying(), 'second', seriesMs)).toMatchObject({ is: 'Create' });
    expect(book.record('other', saying(), 'third', seriesMs)).toMatchObject({ is: 'Create' });
    expect(book.record('uid', saying('another'), 'fourth', seriesMs)).toMatchObject({ is: 'Create' });
  });

  test('that could not be written are made anew', () => {
    const book = new EventBook();
    const first = book.record('uid', saying(), 'first', 0);
    if (first.is !== 'Create') throw new Error('not made');
    book.forget(first.id);
    expect(book.record('uid', saying(), 'second', 1)).toMatchObject({ is: 'Create' });
  });

  test('of one object are limited, and others are not held up by it', () => {
    const book = new EventBook();
    const storm = Array.from({ length: burst + 5 }, (_, n) => book.record('uid', saying(`note ${n}`), 'x', 0).is);
    expect(storm.filter((is) => is === 'Create')).toHaveLength(burst);
    expect(book.record('other', saying(), 'x', 0).is).toBe('Create');
    expect(book.record('uid', saying('late'), 'x', refillMs - 1).is).toBe('Drop');
    expect(book.record('uid', saying('late'), 'x', refillMs).is).toBe('Create');
  });

  test('are forgotten, oldest first, when there are too many', () => {
    const book = new EventBook();
    for (let n = 0; n <= maxRemembered; n += 1) book.record(`uid-${n}`, saying(), 'x', 0);
    expect(book.record('uid-0', saying(), 'x', 0).is).toBe('Create');
    expect(book.record(`uid-${maxRemembered}`, saying(), 'x', 0).is).toBe('Drop');
  });
});
