import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { kubeConfigOfProcess } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-api-'));
const before = { ...process.env };
const kubeConfig = (currentContext: string): string =>
  JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': currentContext },
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'me' } }],
    clusters: [{ name: 'lab', cluster: { server: 'https://192.0.2.1:6443' } }],
    users: [{ name: 'me', user: { token: 'secret' } }],
  });

beforeAll(() => {
  process.env['HOME'] = join(folder, 'nobody');
});
afterAll(() => {
  process.env = before;
  rmSync(folder, { recursive: true });
});

test.each<[what: string, content: string | undefined, said: RegExp]>([
  ['a file that is not there', undefined, /KUBECONFIG names, \S+\/config, cannot be read: ENOENT.*config'$/],
  ['no YAML, in one line', 'clusters: [', /config, cannot be read: [^\n]+$/],
  [
    'a context that it does not have',
    kubeConfig('away'),
    /current context, "away": choose one of lab by `kubectl config use/,
  ],
  ['no context', '{}', /current context, "": choose one of none/],
])('%s is told in a sentence', (_, content, said) => {
  const file = join(folder, 'config');
  rmSync(file, { force: true });
  if (content !== undefined) writeFileSync(file, content);
  process.env['KUBECONFIG'] = file;
  expect(kubeConfigOfProcess()).toMatchObject({
    ok: false,
    error: { code: 'NoApi', message: expect.stringMatching(said) },
  });
});

test('none at all', () => {
  delete process.env['KUBECONFIG'];
  expect(kubeConfigOfProcess()).toMatchObject({ error: { message: /run it in the pod of the operator/ } });
});

test('one that is right', () => {
  process.env['KUBECONFIG'] = join(folder, 'config');
  writeFileSync(process.env['KUBECONFIG'], kubeConfig('lab'));
  const found = kubeConfigOfProcess();
  expect(found.ok && found.value.getCurrentCluster()?.server).toBe('https://192.0.2.1:6443');
});
