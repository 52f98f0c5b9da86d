import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { quietClock, until } from '../../test/setup/time.ts';
import type { ControlClient } from '../control/client.ts';
import type { ServerStatus } from '../control/status.ts';
import { fail, ok } from '../kit/result.ts';
import { Poller } from './poller.ts';

const wanted = { name: 'node-a', pool: 'main', site: 'default', address: '127.0.0.1', controlPort: 6911 };

/** A poller of one server, how often it was asked and something told of it; `state` undefined: it does not answer. */
async function polling() {
  const seen = { asked: 0, news: 0, state: 'Streaming' as ServerStatus['state'] | undefined };
  const control = {
    status: async () => {
      seen.asked++;
      return seen.state ? ok({ state: seen.state } as ServerStatus) : fail('ServerUnreachable', 'it does not answer');
    },
    close: async () => undefined,
  } as unknown as ControlClient;
  const poller = new Poller(control, () => seen.news++);
  poller.want([wanted]);
  await until('the first answer', () => seen.news > 0);
  return { seen, poller };
}

test('tells of who answers first, who ceases to, and who is in another state, once', async () => {
  const { seen, poller } = await polling();
  for (const state of ['Streaming', undefined, 'Starting', 'Draining'] as const) {
    const { news } = seen;
    const isOther = state !== seen.state;
    seen.state = state;
    const asked = seen.asked + 2;
    await until('it was asked twice', () => {
      poller.soon();
      return seen.asked >= asked;
    });
    expect(seen.news).toBe(isOther ? news + 1 : news);
    expect(poller.servers[0]?.reachable).toBe(state !== undefined);
  }
  await poller.close();
});

test('asks at once when a connection ends, and no more than ten times a second though they end all the time', async () => {
  const { seen, poller } = await polling();
  const passed = quietClock();
  const began = performance.now();
  while (performance.now() - began < 1_000) {
    poller.soon();
    await delay(5); // what the test is about
  }
  expect(seen.asked).toBeGreaterThan(2);
  expect(seen.asked).toBeLessThanOrEqual((performance.now() - began) / 100 + 2);
  const { asked } = seen;
  await until('a pause', () => seen.asked > asked + 1); // the last of them, and one that was in time
  const passedBefore = passed();
  poller.soon();
  const before = seen.asked;
  await until('it is asked', () => seen.asked > before);
  expect(passed() - passedBefore).toBeLessThan(600);
  await poller.close();
});
