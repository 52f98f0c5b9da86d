/** Whatever the version, the release and the namespaces are called: every object of the chart is one that the API server takes. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAllDocuments, stringify } from 'yaml';
import { faults } from '../check/object-rules.ts';
import { binary } from '../cluster/cluster.ts';
import { runAsync } from '../cluster/run.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const SEED = 10;
const root = join(import.meta.dirname, '../..');
const chart = join(root, 'charts/bootfarm');

interface Install {
  readonly release: string;
  readonly namespace: string;
  readonly version: string;
  readonly appVersion: string;
  readonly farmNamespaces: readonly string[];
  readonly values?: object;
}

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-chart-names-'));
afterAll(() => rmSync(folder, { recursive: true }));
let copies = 0;

async function render({ release, namespace, version, appVersion, farmNamespaces, values }: Install): Promise<object[]> {
  const own = join(folder, String(copies++));
  cpSync(chart, own, { recursive: true, filter: (path) => !path.endsWith('/crds') });
  writeFileSync(
    join(own, 'Chart.yaml'),
    stringify({ apiVersion: 'v2', name: 'bootfarm', version, appVersion }, { defaultStringType: 'QUOTE_DOUBLE' }),
  );
  const file = join(own, 'set.json');
  writeFileSync(file, JSON.stringify({ farmNamespaces, ...values }));
  const text = await runAsync(binary('helm'), 'template', release, own, '--namespace', namespace, '--values', file);
  return parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    if (document.errors[0]) throw document.errors[0];
    return (document.toJS() as object | null) ?? [];
  });
}

const letters = (text: string) => fc.constantFrom(...text);
const word = (inner: string, ends: string, maxLength: number) =>
  fc
    .tuple(letters(ends), fc.array(letters(inner), { maxLength: maxLength - 2, size: 'max' }), letters(ends))
    .map(([first, middle, last]) => first + middle.join('') + last);
const LOWER = 'abcxyz0189';
/** What YAML takes for something else than text, when nobody quotes it. */
const NO_TEXT = ['123', 'true', 'no', 'null', '1e3', '0x1f', '010'] as const;
const dnsLabel = (longest: number) => fc.oneof(fc.constantFrom(...NO_TEXT), word(`${LOWER}-`, LOWER, longest));
// Of Helm: 53 characters, dots as in host names.
const release = fc.oneof(
  dnsLabel(53),
  fc.tuple(dnsLabel(26), dnsLabel(26)).map(([a, b]) => `${a}.${b}`),
);
const part = word('AZaz09-', 'AZaz9', 60);
const version = fc
  .tuple(fc.nat(99), fc.nat(999), fc.nat(9), fc.option(part), fc.option(fc.array(part, { minLength: 1, maxLength: 3 })))
  .map(
    ([a, b, c, before, build]) => `${a}.${b}.${c}${before ? `-${before}` : ''}${build ? `+${build.join('.')}` : ''}`,
  );
const install: fc.Arbitrary<Install> = fc.record({
  release,
  namespace: dnsLabel(63),
  version,
  appVersion: fc.oneof(version, fc.constantFrom('latest', '1.0', 'v2 (beta)', '-')),
  farmNamespaces: fc.uniqueArray(dnsLabel(63), { minLength: 1, maxLength: 3 }),
});

/** What was seen to fail, and the ends of what is allowed. */
const EXTREMES: readonly Install[] = [
  { release: 'bootfarm', namespace: 'bootfarm', version: '0.1.0+digest', appVersion: '0.1.0', farmNamespaces: ['lab'] },
  {
    release: `${'r'.repeat(51)}.9`,
    namespace: 'n'.repeat(63),
    version: `0.1.0-${'p'.repeat(47)}.${'b'.repeat(60)}+${'c'.repeat(64)}`,
    appVersion: `0.1.0+${'d'.repeat(80)}`,
    farmNamespaces: ['f'.repeat(63), 'g'.repeat(63)],
  },
  { release: '123', namespace: '456', version: '1.2.3', appVersion: '1.0', farmNamespaces: ['789', 'true', 'null'] },
  {
    release: 'true',
    namespace: 'no',
    version: '1.2.3+a',
    appVersion: '-',
    farmNamespaces: ['no'],
    values: {
      serviceAccount: { name: '0' },
      farmPriorityClass: { name: '1' },
      priorityClassName: '2',
      podLabels: { a: '3' },
    },
  },
];

describe.each(EXTREMES)('release $release in $namespace, version $version', (one) => {
  test('renders what the rules allow', async () => {
    expect(faults(await render(one))).toEqual([]);
  });
});

test(`any release, namespace and version renders what the rules allow (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(install, async (one) => {
      expect(faults(await render(one))).toEqual([]);
    }),
    { seed: SEED, numRuns: 50 },
  );
});

test('the rules find what is wrong', () => {
  const labels = { 'a b': 'x', ok: '-x', long: 'x'.repeat(64), number: 1 };
  const metadata = { name: 'Upper', namespace: 'b', labels };
  expect(faults([{ kind: 'ServiceAccount', metadata }])).toEqual([
    'ServiceAccount b/Upper: "Upper" is no name of a ServiceAccount',
    'ServiceAccount b/Upper: a b is no label',
    'ServiceAccount b/Upper: ok: "-x" is no value of a label',
    `ServiceAccount b/Upper: long: "${'x'.repeat(64)}" is no value of a label`,
    'ServiceAccount b/Upper: number: 1 is no value of a label',
  ]);
});

describe('on an API server', () => {
  let api: ApiServer;
  const kubectl = (...args: string[]) => runAsync(binary('kubectl'), '--kubeconfig', api.kubeconfig, ...args);
  beforeAll(async () => {
    api = await startApiServer(join(folder, 'api'));
  });
  afterAll(() => api.stop());

  test.each(EXTREMES)('release $release in $namespace is taken', async (one) => {
    const file = join(folder, 'objects.json');
    const namespaces = [...new Set([one.namespace, ...one.farmNamespaces])];
    for (const name of namespaces) await kubectl('create', 'namespace', name);
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: await render(one) }));
    const said = await kubectl('apply', '--server-side', '--dry-run=server', '-f', file);
    expect(said).toContain('serverside-applied');
  });
});
