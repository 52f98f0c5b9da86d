import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { aFarm } from '../../test/builders/resources.ts';
import { ok, type Result } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Hub } from './events.ts';
import type { OpenFarm } from './farms.ts';
import { CLIENTS } from './limits.ts';
import { type Problem, problem } from './problem.ts';
import type { View } from './view.ts';

/** As Node has it: what is written after the end is an error. */
class Response extends EventEmitter {
  text = '';
  closed = false;
  destroyed = false;
  writableEnded = false;
  writableLength = 0;
  writeHead(): void {}
  flushHeaders(): void {}
  write(text: string): void {
    if (this.writableEnded) throw new Error('write after end');
    this.text += text;
  }
  end(text: string): void {
    this.write(text);
    this.writableEnded = true;
  }
  destroy(): void {
    [this.closed, this.destroyed] = [true, true];
    this.emit('close');
  }
}

const FARMS: View = { kinds: new Set(['farms', 'database']), within: new Map() };
let isThere = true;
let farm: OpenFarm;
let hub: Hub;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['performance', 'nextTick'] });
  isThere = true;
  farm = {
    name: 'lab/farm',
    farm: aFarm(),
    pools: () => [],
    stores: () => [],
    vdisks: () => [],
    read: async () => problem('DatabaseAway', 'it is away'),
  } as unknown as OpenFarm;
  const farms = { get: () => (isThere ? farm : undefined) };
  hub = new Hub({ farms, everyMs: 250, heartbeatMs: 300, log: silentLogger });
});
afterEach(() => {
  hub.close();
  jest.useRealTimers();
});

const later = (ms: number) => jest.advanceTimersByTimeAsync(ms);
const open = (view: () => Promise<Result<View, Problem>>, lastEventId?: string) =>
  hub.open(farm, { username: 'ann', lastEventId, view });
async function watch(view: () => Promise<Result<View, Problem>> = async () => ok(FARMS), lastEventId?: string) {
  const opened = await open(view, lastEventId);
  if (!opened.ok) throw new Error(opened.error.message);
  const response = new Response();
  opened.value(response as unknown as ServerResponse);
  await later(0);
  return response;
}

test('a reset says whether the database is there, and a Farm that changed is told without a question for it', async () => {
  const response = await watch();
  expect(response.text).toMatch(/event: reset\ndata: {"reason":.*"database":{"reachable":false,.*"it is away"}}/);
  farm.farm = aFarm({ metadata: { resourceVersion: '2' } });
  await later(250);
  expect(response.text).toMatch(/event: changes\ndata: {"changes":\[{"kind":"farms","name":"farm"/);
});

test.each<[string, (now: { view: Result<View, Problem> }) => void, RegExp]>([
  ['their right ended', (now) => (now.view = problem('Forbidden', 'no more')), /event: end\ndata: .*no more/],
  ['the Farm is another one', () => (isThere = false), /event: end\ndata: .*Farm lab\/farm was deleted or made anew/],
])('nothing is written behind the end: %s', async (_, change, says) => {
  const now: { view: Result<View, Problem> } = { view: ok(FARMS) };
  const response = await watch(async () => now.view);
  change(now);
  await later(6_000);
  expect(response.text).toMatch(says);
  expect(response.writableEnded).toBe(true);
});

test('what they may see changes: they read the lists anew', async () => {
  let view = FARMS;
  const response = await watch(async () => ok(view));
  view = { ...FARMS, kinds: new Set(['farms', 'vdisks']) };
  await later(11_000);
  expect(response.text.match(/event: reset/g)).toHaveLength(2);
  expect(response.text).toMatch(/what you may see is not what it was/);
});

test('more than is told one by one is a reset, and that the database is back comes behind it', async () => {
  const response = await watch();
  Object.assign(farm, { read: async () => ok({ value: { mark: 1, isTooMuch: true } }) });
  await later(250);
  const heard = response.text.split('\n\n').map((block) => /event: (.*)\n.*"reachable":(.*?),/.exec(block)?.slice(1));
  expect(heard).toEqual([['reset', 'false'], ['reset', 'true'], ['changes', 'true'], undefined]);
  Object.assign(farm, { read: async () => ok({ value: { mark: 2, devices: [], removed: [], sessions: [] } }) });
  farm.farm = aFarm({ metadata: { name: 'x'.repeat(300_000), resourceVersion: '2' } });
  await later(500);
  expect(response.text.match(/event: reset/g)).toHaveLength(3);
  expect(response.text.length).toBeLessThan(10_000);
});

test('who was away goes on where they were, unless they missed too much', async () => {
  const first = await watch();
  const id = /id: (.*)\nevent: reset/.exec(first.text)?.[1];
  const large = (n: number) =>
    aFarm({ metadata: { name: String.fromCharCode(96 + n).repeat(60_000), resourceVersion: String(n) } });
  farm.farm = large(1);
  await later(250);
  const second = await watch(undefined, id);
  expect([second.text.includes('event: reset'), second.text.includes('event: changes')]).toEqual([false, true]);
  for (let n = 2; n < 12; n++) {
    farm.farm = large(n);
    await later(250);
  }
  const third = await watch(undefined, id);
  expect([third.text.includes('event: reset'), third.text.includes('event: changes')]).toEqual([true, false]);
});

test('a place is taken before anything is waited for, and given back whoever leaves when', async () => {
  const waiting = Array.from({ length: CLIENTS.each }, () => open(() => new Promise(() => {})));
  expect(await open(async () => ok(FARMS))).toMatchObject({ error: { code: 'TooMany' } });
  hub.close();
  hub = new Hub({ farms: { get: () => farm }, everyMs: 250, heartbeatMs: 300, log: silentLogger });
  expect(waiting).toHaveLength(CLIENTS.each);
  for (let time = 0; time < CLIENTS.each * 2; time++) {
    expect(await open(async () => problem('Forbidden', 'no'))).toMatchObject({ error: { code: 'Forbidden' } });
    await expect(open(() => Promise.reject(new Error('broke')))).rejects.toThrow('broke');
    const early = await open(async () => ok(FARMS));
    const gone = new Response();
    gone.destroy();
    if (early.ok) early.value(gone as unknown as ServerResponse);
    (await watch()).destroy();
  }
  expect((await open(async () => ok(FARMS))).ok).toBe(true);
});
