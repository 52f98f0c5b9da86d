import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { type Closable, Listener } from './listener.ts';

const taken = fail('PortTaken', 'port 69 is taken');

/** A listener whose starts end as the test says, in order; the last answer holds on. */
function scene(...answers: Result<Closable, Fault>[]) {
  let starts = 0;
  const listener = new Listener(
    'tftp',
    async () => answers[Math.min(starts++, answers.length - 1)] ?? taken,
    silentLogger,
  );
  return { listener, starts: () => starts };
}
const open = () => ({ close: jest.fn<() => void>() });

test('it runs from when it is wanted until it is not', async () => {
  const server = open();
  const { listener } = scene(ok(server));
  expect(listener.value).toBeUndefined();
  await listener.want(true);
  expect(listener.value).toBe(server);
  await listener.want(false);
  expect(listener.value).toBeUndefined();
  expect(server.close).toHaveBeenCalledTimes(1);
});

test('wanted twice it starts once, and closed twice it closes once', async () => {
  const server = open();
  const { listener, starts } = scene(ok(server));
  await Promise.all([listener.want(true), listener.want(true)]);
  expect(starts()).toBe(1);
  await Promise.all([listener.close(), listener.close()]);
  expect(server.close).toHaveBeenCalledTimes(1);
});

test('a port that is taken is a fault, and it starts by itself when the port is free', async () => {
  jest.useFakeTimers();
  const { listener } = scene(taken, taken, ok(open()));
  await listener.want(true);
  expect(listener.fault).toEqual({ code: 'PortTaken', message: 'port 69 is taken' });
  await jest.advanceTimersByTimeAsync(500);
  expect(listener.fault).toBeDefined();
  await jest.advanceTimersByTimeAsync(1_000);
  expect(listener.fault).toBeUndefined();
  expect(listener.value).toBeDefined();
  jest.useRealTimers();
});

test('what is no longer wanted has no fault and is not tried again', async () => {
  jest.useFakeTimers();
  const { listener, starts } = scene(taken);
  await listener.want(true);
  await listener.want(false);
  expect(listener.fault).toBeUndefined();
  await jest.advanceTimersByTimeAsync(60_000);
  expect(starts()).toBe(1);
  jest.useRealTimers();
});

test('what runs with another setting is ended and started anew', async () => {
  const [first, second] = [open(), open()];
  const { listener, starts } = scene(ok(first), ok(second));
  await listener.want(true, 'Authenticated');
  await listener.want(true, 'Authenticated');
  expect(starts()).toBe(1);
  await listener.want(true, 'Trusted');
  expect(listener.value).toBe(second);
  expect(first.close).toHaveBeenCalledTimes(1);
});

test('a setting that changes during a start is taken up after it', async () => {
  const servers = [open(), open()];
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let starts = 0;
  const start = async (): Promise<Result<Closable, Fault>> => {
    begun.resolve();
    await gate.promise;
    return ok(servers[starts++] ?? open());
  };
  const listener = new Listener('stream', start, silentLogger);
  void listener.want(true, 'Authenticated');
  await begun.promise;
  const changed = listener.want(true, 'Trusted');
  gate.resolve();
  await changed;
  expect([starts, listener.value === servers[1], servers[0]?.close.mock.calls.length]).toEqual([2, true, 1]);
});

test('a start that throws is a fault like any other', async () => {
  const listener = new Listener('tftp', () => Promise.reject(new Error('no such interface')), silentLogger);
  await listener.want(true);
  expect(listener.fault).toEqual({ code: 'StartFailed', message: 'no such interface' });
  await listener.close();
});

test('what it is told when it starts is told once it is the value: a change meanwhile finds it', async () => {
  const server = open();
  const told: unknown[] = [];
  const start = async (): Promise<Result<Closable, Fault>> => ok(server);
  const listener = new Listener('stream', start, silentLogger, () => void told.push(listener.value));
  await listener.want(true);
  expect(told).toEqual([server]);
});

describe('what it throws', () => {
  /** A listener that keeps running; `thrown` is how its code fails. */
  function running(close: () => Promise<void> | void = () => undefined) {
    let starts = 0;
    const failing: ((error: unknown) => void)[] = [];
    const start = async (thrown: (error: unknown) => void): Promise<Result<Closable, Fault>> => {
      starts += 1;
      failing.push(thrown);
      return ok({ close });
    };
    return { listener: new Listener('tftp', start, silentLogger), starts: () => starts, failing };
  }
  const settle = (): Promise<void> => jest.advanceTimersByTimeAsync(0);
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test('closes it, is a fault, and it starts again after a pause that grows', async () => {
    const { listener, starts, failing } = running();
    await listener.want(true);
    for (const [round, pauseMs] of [500, 1_000, 2_000, 4_000, 5_000, 5_000].entries()) {
      failing.at(-1)?.(new Error('bad port'));
      await settle();
      expect([listener.value, listener.fault?.code]).toEqual([undefined, 'Crashed']);
      expect(listener.fault?.message).toContain('bad port');
      await jest.advanceTimersByTimeAsync(pauseMs / 2 - 1);
      expect(starts()).toBe(round + 1);
      await jest.advanceTimersByTimeAsync(pauseMs / 2 + 1);
      expect([starts(), listener.fault, listener.value !== undefined]).toEqual([round + 2, undefined, true]);
    }
    await listener.close();
  });

  test('is nothing once it was closed, and nothing to the one that runs now', async () => {
    const { listener, starts, failing } = running();
    await listener.want(true, 'Trusted');
    await listener.want(true, 'Authenticated');
    failing[0]?.(new Error('late'));
    await settle();
    expect([starts(), listener.fault]).toEqual([2, undefined]);
    await listener.close();
    failing[1]?.(new Error('late'));
    await jest.advanceTimersByTimeAsync(60_000);
    expect([starts(), listener.fault]).toEqual([2, undefined]);
  });

  test('at its end does not keep it from starting again', async () => {
    const { listener, starts } = running(() => Promise.reject(new Error('stuck')));
    await listener.want(true, 'Trusted');
    await listener.want(true, 'Authenticated');
    expect([starts(), listener.value !== undefined]).toEqual([2, true]);
    await listener.close();
  });

  test('during a start that never ends is a fault too', async () => {
    const start = (thrown: (error: unknown) => void): Promise<Result<Closable, Fault>> => {
      thrown(new Error('half open'));
      return new Promise(() => undefined);
    };
    const listener = new Listener('tftp', start, silentLogger);
    await listener.want(true);
    expect(listener.fault?.message).toContain('half open');
    await listener.close();
  });

  test('on being told what it must know is a fault too', async () => {
    const told = () => Promise.reject(new Error('no disks'));
    const listener = new Listener('stream', async () => ok(open()), silentLogger, told);
    await listener.want(true);
    await settle();
    expect(listener.fault?.message).toContain('no disks');
    await listener.close();
  });
});
