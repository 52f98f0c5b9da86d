/**
 * What is installed reads back as it was written: the API server adds defaults and its own fields, and takes or alters nothing. Argo CD calls
 * an object OutOfSync for ever otherwise, and syncs it again and again.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { binary } from '../cluster/cluster.ts';
import { run, until } from '../cluster/run.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-fixed-point-'));
let api: ApiServer;
const kubectl = (...args: string[]): string => run(binary('kubectl'), '--kubeconfig', api.kubeconfig, ...args);

beforeAll(async () => {
  api = await startApiServer(folder);
});
afterAll(async () => {
  await api?.stop();
  rmSync(folder, { recursive: true });
});

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}
interface List {
  readonly items: readonly Named[];
}

const objects = (text: string): Named[] => parseAllDocuments(text).flatMap((document) => document.toJS() ?? []);

/** The places where `read` lacks what was written, or says something else. */
function differences(written: unknown, read: unknown, at = ''): string[] {
  if (typeof written !== 'object' || written === null)
    return written === read ? [] : [`${at}: ${JSON.stringify(written)} became ${JSON.stringify(read)}`];
  if (typeof read !== 'object' || read === null)
    return [`${at}: ${JSON.stringify(written)} became ${JSON.stringify(read)}`];
  const longer = Array.isArray(written) && Array.isArray(read) && read.length > written.length;
  const inner = Object.entries(written).flatMap(([key, value]) =>
    differences(value, (read as Readonly<Record<string, unknown>>)[key], `${at}/${key}`),
  );
  return longer ? [`${at}: more than was written`, ...inner] : inner;
}

/** Of every object, written from this folder and read again. */
function changed(path: string): string[] {
  const written = objects(run(binary('kubectl'), 'kustomize', path));
  kubectl('apply', '--server-side', '-k', path);
  const { items }: List = JSON.parse(kubectl('get', '-k', path, '-o', 'json'));
  const idOf = ({ kind, metadata }: Named): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
  return written.flatMap((object) => {
    const read = items.find((item) => idOf(item) === idOf(object));
    return differences(object, read, idOf(object));
  });
}

test('the base: CRDs, rights, policies, the operator', () => {
  expect(changed(join(root, 'deploy/base'))).toEqual([]);
});

test('the samples', async () => {
  const samples = join(root, 'deploy/samples');
  await until('the CRDs served', 30_000, () =>
    kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=20s'),
  );
  kubectl('apply', '-f', join(samples, 'namespace.yaml'));
  const policy = 'validatingadmissionpolicybindings.admissionregistration.k8s.io';
  kubectl('delete', policy, 'bootfarm-namespaces');
  await until('the samples taken', 20_000, () => kubectl('apply', '--dry-run=server', '-k', samples));
  expect(changed(samples)).toEqual([]);
});

test('what is lost or altered is found', () => {
  expect(differences({ a: { b: {} }, c: [1, 2] }, { a: {}, c: [1, 3, 4], d: 5 })).toEqual([
    '/a/b: {} became undefined',
    '/c: more than was written',
    '/c/1: 2 became 3',
  ]);
});
