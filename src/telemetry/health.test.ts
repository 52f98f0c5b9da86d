import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { Gauge, Registry } from 'prom-client';
import { request } from 'undici';
import { until } from '../../test/setup/time.ts';
import { startTelemetry } from './health.ts';
import { silentLogger } from './log.ts';
import type { Thread } from './turns.ts';

test('readyz says what is missing, metrics show the registry, a taken port is named', async () => {
  const registry = new Registry();
  new Gauge({ name: 'bootfarm_test', help: 'a test', registers: [registry] }).set(7);
  let missing: string[] = ['replica: not loaded'];
  const started = await startTelemetry({
    host: '127.0.0.1',
    port: 0,
    registry,
    ready: () => missing,
    log: silentLogger,
  });
  if (!started.ok) throw new Error(started.error.message);
  const get = async (path: string) => {
    const { statusCode, body } = await request(`http://127.0.0.1:${started.value.port}${path}`);
    return { statusCode, text: await body.text() };
  };
  expect(await get('/healthz')).toEqual({ statusCode: 200, text: 'ok\n' });
  expect(await get('/readyz')).toEqual({ statusCode: 503, text: 'replica: not loaded\n' });
  missing = [];
  await until('a second is over', async () => (await get('/readyz')).statusCode === 200);
  expect((await get('/metrics')).text).toContain('bootfarm_test 7');
  const second = await startTelemetry({
    host: '127.0.0.1',
    port: started.value.port,
    registry,
    ready: () => [],
    log: silentLogger,
  });
  expect(second).toMatchObject({ ok: false, error: { code: 'PortTaken' } });
  await started.value.close();
});

/** Asked by a process of its own, while this one's main thread stands still. */
function askedBlocked(url: string): { status: number; text: string } {
  const source = `const a = await fetch('${url}'); console.log(JSON.stringify({ status: a.status, text: await a.text() }))`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
  return JSON.parse(stdout);
}

test('while the main thread is busy it lives, and is not ready in time', async () => {
  const started = await startTelemetry({
    host: '127.0.0.1',
    port: 0,
    registry: new Registry(),
    ready: () => [],
    log: silentLogger,
  });
  if (!started.ok) throw new Error(started.error.message);
  const url = `http://127.0.0.1:${started.value.port}`;
  expect(askedBlocked(`${url}/healthz`)).toMatchObject({ status: 200, text: 'ok\n' });
  expect(askedBlocked(`${url}/readyz`)).toMatchObject({
    status: 503,
    text: 'the main thread did not answer within 2000 ms\n',
  });
  await started.value.close();
});

test('a thread that does not turn is named, and one that turns again is well', async () => {
  const cells = new Float64Array(new SharedArrayBuffer(8));
  const thread: Thread = { name: 'stream 0', patienceMs: 1_000, cells, at: 0 };
  const options = { host: '127.0.0.1', port: 0, registry: new Registry(), ready: () => [], log: silentLogger };
  const started = await startTelemetry({ ...options, threads: () => [thread] });
  if (!started.ok) throw new Error(started.error.message);
  const health = () => request(`http://127.0.0.1:${started.value.port}/healthz`).then(({ body }) => body.text());
  await until('it is stuck', async () => (await health()) === 'no turn of stream 0\n');
  cells[0] = 1;
  await until('it turned', async () => (await health()) === 'ok\n');
  await started.value.close();
});

test('sixty who ask at once cost one question of readiness', async () => {
  let asked = 0;
  const ready = async () => {
    asked += 1;
    return [];
  };
  const started = await startTelemetry({
    host: '127.0.0.1',
    port: 0,
    registry: new Registry(),
    ready,
    log: silentLogger,
  });
  if (!started.ok) throw new Error(started.error.message);
  const url = `http://127.0.0.1:${started.value.port}/readyz`;
  const all = await Promise.all(Array.from({ length: 60 }, () => request(url).then(({ body }) => body.text())));
  expect([asked <= 3, new Set(all)]).toEqual([true, new Set(['ok\n'])]);
  await started.value.close();
});

test('a worker that dies is started again on its port', async () => {
  const cells = new Float64Array(new SharedArrayBuffer(8));
  const thread: Thread = { name: 'stream 0', patienceMs: 1_000, cells, at: 0 };
  // No thread has such a cell: the worker throws at its next look.
  let threads: readonly Thread[] = [{ ...thread, cells: null as never }];
  const registry = new Registry();
  const ready = () => [];
  const died: string[] = [];
  const log = { ...silentLogger, error: (_: object, message: string) => void died.push(message) };
  const started = await startTelemetry({ host: '127.0.0.1', port: 0, registry, ready, threads: () => threads, log });
  if (!started.ok) throw new Error(started.error.message);
  await until('it died', () => died.length > 0);
  threads = [thread];
  const health = () => request(`http://127.0.0.1:${started.value.port}/healthz`).then(({ body }) => body.text());
  await until('it is back, and looks at the threads', async () => (await health()) === 'no turn of stream 0\n', 30_000);
  await started.value.close();
});
