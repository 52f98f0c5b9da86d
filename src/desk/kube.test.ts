import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { kubeOf } from './kube.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-kube-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A kubeconfig of a cluster at this address. */
function kubeconfig(server: string, cluster: object = {}): string {
  const file = join(folder, 'config');
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
    clusters: [{ name: 'k', cluster: { server, ...cluster } }],
    users: [{ name: 'u', user: { token: 't' } }],
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

test('who has no kubeconfig is told how to name one', () => {
  const { KUBECONFIG, HOME } = process.env;
  try {
    delete process.env['KUBECONFIG'];
    process.env['HOME'] = join(folder, 'nobody');
    expect(() => kubeOf({})).toThrow('no kubeconfig says where the cluster is: give --kubeconfig FILE');
  } finally {
    Object.assign(process.env, KUBECONFIG === undefined ? {} : { KUBECONFIG }, HOME === undefined ? {} : { HOME });
  }
});

test('a context without a cluster is named', () => {
  const file = kubeconfig('https://127.0.0.1:1');
  writeFileSync(
    file,
    JSON.stringify({ ...{ 'current-context': 'c' }, contexts: [{ name: 'c', context: { cluster: 'x' } }] }),
  );
  expect(() => kubeOf({ kubeconfig: file })).toThrow('context c of the kubeconfig has no cluster');
});

test.each<[string, object, number, string]>([
  ['https://127.0.0.1:1', {}, 5, 'the Kubernetes API at https://127.0.0.1:1 does not answer: connect ECONNREFUSED'],
  ['127.0.0.1:6443', {}, 1, 'it must look like https://HOST'],
  [
    'https://127.0.0.1:1',
    { 'certificate-authority': '/nowhere/ca.crt' },
    1,
    'a file that the kubeconfig names cannot be read: ENOENT',
  ],
])('of a cluster at %s %j nothing is heard: status %d', async (server, cluster, status, says) => {
  const kube = kubeOf({ kubeconfig: kubeconfig(server, cluster) });
  await expect(kube.get('/api')).rejects.toMatchObject({ status, message: expect.stringContaining(says) });
});

test('what answers as no Kubernetes API does is named', async () => {
  const server = createServer((_request, answer) => answer.end('<html>log in first</html>'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  try {
    const at = `http://127.0.0.1:${typeof address === 'object' && address?.port}`;
    const kube = kubeOf({ kubeconfig: kubeconfig(at, { 'insecure-skip-tls-verify': true }) });
    await expect(kube.get('/api')).rejects.toMatchObject({ status: 5, message: expect.stringContaining('is no JSON') });
  } finally {
    server.close();
  }
});
