import { expect, test } from '@jest/globals';
import { Gauge, Registry } from 'prom-client';
import { request } from 'undici';
import { startTelemetry } from './health.ts';

test('readyz says what is missing, metrics show the registry, a taken port is named', async () => {
  const registry = new Registry();
  new Gauge({ name: 'bootfarm_test', help: 'a test', registers: [registry] }).set(7);
  let missing: string[] = ['replica: not loaded'];
  const started = await startTelemetry({ host: '127.0.0.1', port: 0, registry, ready: () => missing });
  if (!started.ok) throw new Error(started.error.message);
  const get = async (path: string) => {
    const { statusCode, body } = await request(`http://127.0.0.1:${started.value.port}${path}`);
    return { statusCode, text: await body.text() };
  };
  expect(await get('/healthz')).toEqual({ statusCode: 200, text: 'ok\n' });
  expect(await get('/readyz')).toEqual({ statusCode: 503, text: 'replica: not loaded\n' });
  missing = [];
  expect((await get('/readyz')).statusCode).toBe(200);
  expect((await get('/metrics')).text).toContain('bootfarm_test 7');
  const second = await startTelemetry({ host: '127.0.0.1', port: started.value.port, registry, ready: () => [] });
  expect(second).toMatchObject({ ok: false, error: { code: 'PortTaken' } });
  await started.value.close();
});
