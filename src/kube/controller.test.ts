import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { anObject } from '../../test/builders/kube.ts';
import { FakeInformer } from '../../test/fakes/informer.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Controller, type ControllerOptions, type Reconcile } from './controller.ts';
import { kinds } from './kinds.ts';
import { engineMetrics } from './metrics.ts';
import type { Outcome } from './outcome.ts';
import { requeueAfter, retry, settled, waitForChange } from './outcome.ts';
import { ownedBy } from './owner.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
const named = (name: string, resourceVersion = '1', generation = 1) =>
  anObject({ name, resourceVersion, generation, uid: `uid-${name}` });

/** A controller over `objects` whose looks are written down; `outcome` says how each ends. */
async function running(outcome: Reconcile, objects = [named('a')], more: Partial<ControllerOptions> = {}) {
  const informer = new FakeInformer();
  const looks: string[] = [];
  const reconcile: Reconcile = (key, signal) => {
    looks.push(key);
    return outcome(key, signal);
  };
  const controller = new Controller({ name: 'test', informer, reconcile, logger: silentLogger, ...more });
  informer.learn({ kind: 'Snapshot', objects });
  expect(looks).toEqual([]);
  await controller.start();
  await pass(0);
  return { informer, looks, controller };
}

describe('a controller', () => {
  test('looks at every object once it is synced, and settled ones are left alone', async () => {
    const { looks, controller } = await running(async () => settled, [named('a'), named('b')]);
    await pass(3_600_000);
    expect(looks).toEqual(['lab/a', 'lab/b']);
    await controller.close();
  });

  test('looks again at what was edited or deleted, not at a status that comes back', async () => {
    const { informer, looks, controller } = await running(async () => settled);
    informer.put({ ...named('a', '2'), status: { is: 'new' } });
    await pass(0);
    expect(looks).toHaveLength(1);
    informer.put(named('a', '3', 2));
    await pass(0);
    expect(looks).toHaveLength(2);
    informer.learn({ kind: 'Remove', object: named('a') });
    await pass(0);
    expect(looks).toHaveLength(3);
    await controller.close();
  });

  test.each<[string, Outcome, number]>([
    ['look again after 50 ms', requeueAfter(50), 20],
    ['failed, retry: 5 ms × 2ⁿ, half of it random, 1 s in all', retry('Down', 'x'), 8],
    ['failed, wait for a change', waitForChange('Wrong', 'x'), 1],
    ['settled', settled, 1],
  ])('%s', async (_, outcome, most) => {
    const { looks, controller } = await running(async () => outcome);
    await pass(999);
    expect(looks.length).toBeGreaterThanOrEqual(Math.max(1, most - 1));
    expect(looks.length).toBeLessThanOrEqual(most + 1);
    await controller.close();
  });

  test('a reconciler that throws, even before its promise, is called again', async () => {
    let calls = 0;
    const { looks, controller } = await running(() => {
      calls += 1;
      if (calls === 1) throw new Error('early');
      return calls === 2 ? Promise.reject(new Error('late')) : Promise.resolve(settled);
    });
    await pass(1_000);
    expect(looks).toHaveLength(3);
    await controller.close();
  });

  test('works on as many keys as it has workers, and never twice on one', async () => {
    let now = 0;
    let most = 0;
    const objects = ['a', 'b', 'c', 'd'].map((name) => named(name));
    const { informer, looks, controller } = await running(
      async () => {
        now += 1;
        most = Math.max(most, now);
        await new Promise((resolve) => setTimeout(resolve, 10));
        now -= 1;
        return settled;
      },
      objects,
      { workers: 2 },
    );
    informer.put(named('a', '2', 2));
    await pass(5);
    expect(looks).toEqual(['lab/a', 'lab/b']);
    await pass(100);
    expect(looks).toEqual(['lab/a', 'lab/b', 'lab/a', 'lab/c', 'lab/d']);
    expect(most).toBe(2);
    await controller.close();
  });

  test('looks at what news names, until it is closed', async () => {
    let tell: ((key: string) => void) | undefined;
    const news: ControllerOptions['news'] = (touch) => {
      tell = touch;
      return () => {
        tell = undefined;
      };
    };
    const { looks, controller } = await running(async () => settled, [], { news });
    tell?.('lab/a');
    await pass(0);
    expect(looks).toEqual(['lab/a']);
    await controller.close();
    expect(tell).toBeUndefined();
  });

  test('a change of a child, status included, is news for its owner, the old and the new one', async () => {
    const children = new FakeInformer(kinds.Secret);
    const owner = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', name, uid: 'x', controller: true });
    const child = (name: string, resourceVersion: string) =>
      anObject({ name: 'child', resourceVersion, generation: 1, ownerReferences: [owner(name)] });
    const sources = [{ informer: children, keysOf: ownedBy(kinds.ConfigMap) }];
    const { looks, controller } = await running(async () => settled, [], { sources });
    children.put(child('a', '1'));
    await pass(0);
    children.put(child('b', '2'));
    await pass(0);
    expect(looks).toEqual(['lab/a', 'lab/b', 'lab/a']);
    await controller.close();
  });

  test('a look that takes too long has its signal aborted', async () => {
    const endedMs: number[] = [];
    const { controller } = await running(
      async (_, signal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        endedMs.push(performance.now());
        return settled;
      },
      [named('a')],
      { reconcileTimeoutMs: 1_000 },
    );
    await pass(999);
    expect(endedMs).toHaveLength(0);
    await pass(1);
    expect(endedMs).toHaveLength(1);
    await controller.close();
  });

  test('closed, it aborts and awaits its looks, begins no other and hears nothing', async () => {
    let ended = false;
    const { informer, looks, controller } = await running(async (_, signal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      ended = true;
      return retry('Aborted', 'x');
    });
    await controller.close();
    expect(ended).toBe(true);
    expect(informer.handlers).toBe(0);
    informer.put(named('a', '2', 2));
    await pass(600_000);
    expect(looks).toHaveLength(1);
  });

  test('a wait beyond what timers can is cut, or Node would fire at once, again and again', async () => {
    const timers = jest.spyOn(globalThis, 'setTimeout');
    const { controller } = await running(async () => requeueAfter(720 * 3_600_000));
    const longest = Math.max(...timers.mock.calls.map(([, ms]) => ms ?? 0));
    expect(longest).toBe(2 ** 31 - 1);
    await controller.close();
  });

  test('counts under the names of controller-runtime', async () => {
    const registry = new Registry();
    const outcomes = [retry('Down', 'x'), requeueAfter(10), settled];
    const { controller } = await running(async () => outcomes.shift() ?? settled, [named('a')], {
      metrics: engineMetrics(registry),
    });
    await pass(1_000);
    const text = await registry.metrics();
    for (const line of [
      'controller_runtime_reconcile_total{controller="test",result="error"} 1',
      'controller_runtime_reconcile_total{controller="test",result="requeue_after"} 1',
      'controller_runtime_reconcile_total{controller="test",result="success"} 1',
      'controller_runtime_reconcile_errors_total{controller="test"} 1',
      'controller_runtime_reconcile_time_seconds_count{controller="test"} 3',
      'controller_runtime_active_workers{controller="test"} 0',
      'controller_runtime_max_concurrent_reconciles{controller="test"} 4',
      'workqueue_adds_total{name="test",controller="test"} 1',
      'workqueue_retries_total{name="test",controller="test"} 1',
      'workqueue_depth{name="test",controller="test"} 0',
      'workqueue_queue_duration_seconds_count{name="test",controller="test"} 3',
    ]) {
      expect(text).toContain(line);
    }
    await controller.close();
  });
});
