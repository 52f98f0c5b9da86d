/** What the chart and the kustomize base install: Helm, kustomize and a real API server judge. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { RESOURCES } from '../../src/api/reviews.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { faults } from '../check/object-rules.ts';
import { binary } from '../cluster/cluster.ts';
import { until } from '../cluster/run.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const FARMS = 'bootfarm-farms';
const root = join(import.meta.dirname, '../..');
const chart = join(root, 'charts/bootfarm');

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-chart-'));
afterAll(() => rmSync(folder, { recursive: true }));

function releaseFile(...image: string[]): string {
  const file = join(folder, 'release.yaml');
  execFileSync(join(root, 'test/setup/release-file.sh'), [file, ...image], { stdio: 'pipe' });
  return file;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}
interface Installed {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly rules?: readonly Rule[];
}

function call(program: string, args: readonly string[], input?: string): string {
  return execFileSync(binary(program), args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], input });
}

/** What the program says when it fails. */
function complaint(program: string, args: readonly string[], input?: string): string {
  try {
    call(program, args, input);
  } catch (error) {
    return String((error as { readonly stderr?: unknown }).stderr);
  }
  return '';
}

/** Whether `kubectl auth can-i` says yes. */
function verdict(args: readonly string[]): boolean {
  try {
    return call('kubectl', args).trim() === 'yes';
  } catch {
    return false;
  }
}

const objects = (text: string): Installed[] => parseAllDocuments(text).flatMap((document) => document.toJS() ?? []);
const NAMED = 'farmNamespaces={bootfarm-farms}';
const withValues = (...set: string[]): Installed[] =>
  objects(
    call('helm', ['template', 'bootfarm', chart, '--namespace', 'bootfarm', ...set.flatMap((one) => ['--set', one])]),
  );
const template = (...set: string[]): Installed[] => withValues(NAMED, ...set);
const ids = (list: readonly Installed[]): string[] =>
  list.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort();
const rulesOf = (list: readonly Installed[]): readonly Rule[] => list.flatMap(({ rules }) => rules ?? []);

describe('the chart', () => {
  test('is what helm lint wants', () => {
    expect(call('helm', ['lint', '--strict', '--set', NAMED, chart])).toContain('0 chart(s) failed');
  });

  test('refuses values that are none, with their names', () => {
    const cases = { 'replcas=2': 'replcas', 'logLevel=loud': 'logLevel', 'image.digest=sha256:12': 'digest' };
    for (const [value, name] of Object.entries(cases))
      expect(complaint('helm', ['template', 'bootfarm', chart, '--set', NAMED, '--set', value])).toContain(name);
  });

  test('a value that is null is none where that means something, and is asked for by its name elsewhere', async () => {
    const values: object = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
    const paths = Object.entries(values).flatMap(([key, value]) => [
      key,
      ...(typeof value === 'object' && !Array.isArray(value)
        ? Object.keys(value as object).map((inner) => `${key}.${inner}`)
        : []),
    ]);
    expect(paths).toContain('image.tag');
    const wrong = paths.filter((path) => {
      const set = [`${path}=null`, ...(path.startsWith('crds') ? [] : ['crds.install=false'])];
      const said = complaint('helm', [
        'template',
        'bootfarm',
        chart,
        ...[NAMED, ...set].flatMap((one) => ['--set', one]),
      ]);
      const asked = [`missing property '${path.split('.').at(-1)}'`, 'name the namespaces that hold farms'];
      return said ? !asked.some((sentence) => said.includes(sentence)) : faults(template(...set)).length > 0;
    });
    expect(wrong).toEqual([]);
  });

  test('says what to name when no namespace is, and what all of them mean', () => {
    const render = (...set: string[]) =>
      complaint('helm', ['template', 'bootfarm', chart, ...set.flatMap((one) => ['--set', one])]);
    expect(render()).toMatch(/name the namespaces that hold farms.*allNamespaces=true.*administrator of the cluster/);
    expect(render(NAMED, 'allNamespaces=true')).toContain('say one of them');
  });

  test('leaves the CRDs out when it is told to', () => {
    expect(ids(template('crds.install=false'))).not.toContain('CustomResourceDefinition/farms.bootfarm.io');
  });

  test('grants verbs on resources one by one, and nobody may list or watch Secrets', () => {
    for (const list of [template(), withValues('allNamespaces=true')]) {
      const rules = rulesOf(list);
      expect(JSON.stringify(rules)).not.toContain('*');
      const onSecrets = rules
        .filter(({ resources }) => resources.includes('secrets'))
        .map(({ verbs }) => verbs.join(' '));
      // The farms', and the certificate of the API, by its name.
      expect(onSecrets.sort()).toEqual(['get create patch delete', 'get patch']);
    }
  });

  test('gives rights in the namespaces that are named, in its own one a Lease, and in the cluster nodes to read and finalizers', () => {
    const list = withValues('farmNamespaces={lab,annex}');
    const wide = list.filter(({ kind }) => kind === 'ClusterRole');
    const ofOperator = wide.filter(({ rules }) => !JSON.stringify(rules).includes('api.bootfarm.io'));
    expect(rulesOf(ofOperator)).toEqual([
      { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
      { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
      {
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: ['extension-apiserver-authentication'],
        verbs: ['get'],
      },
      { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
      {
        apiGroups: ['apiextensions.k8s.io'],
        resources: ['customresourcedefinitions'],
        resourceNames: ['farms', 'stores', 'vdisks', 'streamingservers'].map((plural) => `${plural}.bootfarm.io`),
        verbs: ['get'],
      },
      {
        apiGroups: ['bootfarm.io'],
        resources: ['farms', 'stores', 'vdisks', 'streamingservers'],
        verbs: ['get', 'list', 'watch', 'patch'],
      },
    ]);
    const roles = list.filter(({ kind }) => kind === 'Role' || kind === 'RoleBinding');
    expect(roles.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`).sort()).toEqual([
      'Role annex/bootfarm',
      'Role bootfarm/bootfarm-api-authority',
      'Role bootfarm/bootfarm-api-certificate',
      'Role bootfarm/bootfarm-desk',
      'Role bootfarm/bootfarm-lease',
      'Role lab/bootfarm',
      'RoleBinding annex/bootfarm',
      'RoleBinding bootfarm/bootfarm-api-authority',
      'RoleBinding bootfarm/bootfarm-api-certificate',
      'RoleBinding bootfarm/bootfarm-lease',
      'RoleBinding lab/bootfarm',
    ]);
    expect(JSON.stringify(list)).toContain('--namespaces=lab,annex');
    expect(JSON.stringify(withValues('allNamespaces=true'))).not.toContain('--namespaces');
  });

  test('has a role of the API for each of three kinds of people, with every resource that the API asks for, and without the API none', () => {
    const of = (list: readonly Installed[]) =>
      list.flatMap(({ kind, metadata, rules }) =>
        kind === 'ClusterRole' && JSON.stringify(rules).includes('api.bootfarm.io')
          ? [{ name: metadata.name, rules }]
          : [],
      );
    const roles = of(template());
    expect(roles.map(({ name }) => name).sort()).toEqual([
      'bootfarm-device-operator',
      'bootfarm-farm-administrator',
      'bootfarm-viewer',
    ]);
    const all = roles.find(({ name }) => name === 'bootfarm-farm-administrator')?.rules ?? [];
    expect(new Set(all.flatMap(({ resources }) => resources))).toEqual(new Set(RESOURCES));
    expect(of(template('api.enabled=false'))).toEqual([]);
    expect(JSON.stringify(template('api.enabled=false'))).not.toContain('-api');
    expect(JSON.stringify(template())).not.toContain('aggregate-to');
    expect(JSON.stringify(template('api.aggregateRoles=true'))).toContain('aggregate-to-edit');
  });

  test('has a priority class for what farms run, and names it to the operator', () => {
    const text = (...set: string[]) => JSON.stringify(template('crds.install=false', ...set));
    expect(ids(template())).toContain('PriorityClass/bootfarm-farm');
    expect(text()).toContain('--priority-class=bootfarm-farm');
    expect(text('farmPriorityClass.create=false')).not.toContain('riority');
    expect(text('farmPriorityClass.create=false', 'farmPriorityClass.name=high')).toContain('--priority-class=high');
  });
});

/** By each of these bootfarm comes to a cluster. */
const INSTALLS: Readonly<Record<string, () => readonly Installed[]>> = {
  'the chart': template,
  'the kustomize base': () => objects(call('kubectl', ['kustomize', join(root, 'deploy/base')])),
  'the release file': () => objects(readFileSync(releaseFile(), 'utf8')),
};
describe.each(Object.entries(INSTALLS))('%s', (name, install) => {
  const namespaces = name === 'the chart' ? [] : ['Namespace/bootfarm', 'Namespace/bootfarm-farms'];

  test('is the same objects, and the namespaces where it can make them', () => {
    expect(ids(install())).toEqual([...ids(template()), ...namespaces].sort());
  });

  test('keeps what holds farms when Helm, Flux or Argo CD take the rest away', () => {
    const kept = install().filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep');
    const crds = ['farms', 'stores', 'streamingservers', 'vdisks'].map(
      (plural) => `CustomResourceDefinition/${plural}.bootfarm.io`,
    );
    expect(ids(kept)).toEqual([...crds, ...namespaces.slice(1), 'PriorityClass/bootfarm-farm']);
    for (const { metadata } of kept)
      expect(metadata.annotations).toEqual({
        'helm.sh/resource-policy': 'keep',
        'kustomize.toolkit.fluxcd.io/prune': 'disabled',
        'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
      });
  });
});

test('the release file runs the image that it is made with', () => {
  const text = readFileSync(releaseFile('registry.example/bootfarm:1.2'), 'utf8');
  expect(text.match(/.*registry.example.*/g)).toEqual([
    '        - --image=registry.example/bootfarm:1.2',
    '        image: registry.example/bootfarm:1.2',
  ]);
  expect(text).not.toContain('bootfarm.local');
});

describe('on an API server', () => {
  let api: ApiServer;
  const kubectl = (...args: string[]): string =>
    call('kubectl', ['--kubeconfig', api.kubeconfig, '-n', FARMS, ...args]);
  const apply = (object: object, ...args: string[]): string =>
    call('kubectl', ['--kubeconfig', api.kubeconfig, 'apply', '-f', '-', ...args], JSON.stringify(object));

  beforeAll(async () => {
    api = await startApiServer(join(folder, 'api'));
    call('kubectl', ['--kubeconfig', api.kubeconfig, 'apply', '--server-side', '-f', releaseFile()]);
    await until('the CRDs served', 30_000, () =>
      kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=20s'),
    );
  });
  afterAll(() => api.stop());

  test('a restricted namespace takes the pod of the operator without a warning', () => {
    const deployment = objects(call('kubectl', ['kustomize', join(root, 'deploy/base')])).find(
      ({ kind }) => kind === 'Deployment',
    ) as unknown as { readonly spec: { readonly template: { readonly spec: object } } };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'operator', namespace: 'bootfarm' } };
    kubectl('create', 'serviceaccount', 'bootfarm-try', '--namespace=bootfarm');
    const spec = { ...deployment.spec.template.spec, serviceAccountName: 'bootfarm-try' };
    expect(apply({ ...pod, spec }, '--dry-run=server')).toContain('created');
    const privileged = { ...spec, hostNetwork: true };
    expect(
      complaint(
        'kubectl',
        ['--kubeconfig', api.kubeconfig, 'apply', '--dry-run=server', '-f', '-'],
        JSON.stringify({ ...pod, spec: privileged }),
      ),
    ).toContain('host namespaces');
  });

  const make = (namespace: string, labels: Readonly<Record<string, string>> = {}): void => {
    apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } });
  };
  const refusalIn = (namespace: string): string =>
    complaint(
      'kubectl',
      ['--kubeconfig', api.kubeconfig, 'create', '--dry-run=server', '-f', '-'],
      JSON.stringify({ ...(aFarm({ metadata: { name: 'tried', namespace } }) as object), status: undefined }),
    );

  test('a namespace holds farms when an administrator labelled it so, and when the operator looks after it', async () => {
    make('plain');
    make('elsewhere', { 'bootfarm.io/farms': 'allowed' });
    // A policy takes a moment to be in force.
    await until('the policy in force', 20_000, async () => refusalIn('plain') !== '');
    expect(refusalIn('plain')).toMatch(
      /namespace plain may not hold farms.*kubectl label namespace plain bootfarm.io\/farms=allowed/,
    );
    expect(refusalIn('elsewhere')).toMatch(/does not look after namespace elsewhere, only after bootfarm-farms/);
    expect(refusalIn(FARMS)).toBe('');
  });

  test('the account of the operator may do its work where it is named, and nothing elsewhere', () => {
    const who = '--as=system:serviceaccount:bootfarm:bootfarm';
    const may = (namespace: string, ...what: string[]): boolean =>
      verdict(['--kubeconfig', api.kubeconfig, '-n', namespace, 'auth', 'can-i', ...what, who]);
    for (const what of [
      ['get', 'secrets'],
      ['create', 'deployments'],
      ['list', 'pods'],
      ['patch', 'farms', '--subresource=status'], // `farms/status` would be a Farm of that name
    ]) {
      expect([what, may(FARMS, ...what)]).toEqual([what, true]);
      expect([what, may('kube-system', ...what)]).toEqual([what, false]);
    }
    expect(may('bootfarm', 'patch', 'secrets/bootfarm-api-tls')).toBe(true);
    for (const what of ['create secrets', 'patch secrets', 'get secrets'])
      expect([what, may('bootfarm', ...what.split(' '))]).toEqual([what, false]);
    expect(may(FARMS, 'list', 'secrets')).toBe(false);
    expect(may(FARMS, 'create', 'pods/exec')).toBe(false);
  });

  test('the samples are taken, in a namespace that the operator looks after', () => {
    const samples = call('kubectl', ['kustomize', join(root, 'deploy/samples')]).replaceAll('bootfarm-demo', FARMS);
    expect(call('kubectl', ['--kubeconfig', api.kubeconfig, 'apply', '-f', '-'], samples)).toContain(
      'streamingserver.bootfarm.io/main created',
    );
  });

  const cases = [
    [
      'farms',
      aFarm,
      { known: 9, streaming: 2, booting: 1 },
      { known: 9, streaming: 0, booting: 0 },
      'Farm guarded is used by 3 devices',
    ],
    ['vdisks', aVDisk, 2, 0, 'VDisk guarded is used by 2 devices'],
    ['streamingservers', aStreamingServer, 1, 0, 'StreamingServer guarded is used by 1 device:'],
  ] as const;
  test.each(cases)(
    '%s: one that devices use is deleted only when that is confirmed',
    async (plural, build, used, unused, message) => {
      const made = build({ metadata: { name: 'guarded', namespace: FARMS } }) as object;
      const name = `${plural}.bootfarm.io/guarded`;
      const status = (devices: unknown): string =>
        kubectl('patch', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { devices } }));
      const refused = (): string => complaint('kubectl', ['--kubeconfig', api.kubeconfig, '-n', FARMS, 'delete', name]);
      const create = (): string => apply({ ...made, status: undefined });
      create();
      status(used);
      // A policy takes a moment to be in force.
      await until('the policy in force', 20_000, () => {
        const said = complaint('kubectl', [
          '--kubeconfig',
          api.kubeconfig,
          '-n',
          FARMS,
          'delete',
          name,
          '--dry-run=server',
        ]);
        return said !== '';
      });
      expect(refused()).toContain(message);
      kubectl('annotate', name, 'bootfarm.io/confirm-delete=yes');
      expect(kubectl('delete', name)).toContain('deleted');
      create();
      status(unused);
      expect(kubectl('delete', name)).toContain('deleted');
    },
  );

  test('a Store that says nothing of devices is deleted', () => {
    apply({ ...(aStore({ metadata: { name: 'free', namespace: FARMS } }) as object), status: undefined });
    expect(kubectl('delete', 'stores.bootfarm.io/free')).toContain('deleted');
  });

  test('a CRD goes when that is confirmed, and not by the way: all objects of it would go with it', () => {
    const CRDS = ['farms', 'stores', 'streamingservers', 'vdisks'].map((plural) => `${plural}.bootfarm.io`);
    const refusal = (...args: string[]): string => complaint('kubectl', ['--kubeconfig', api.kubeconfig, ...args]);
    for (const name of CRDS)
      expect(refusal('delete', 'crd', name)).toContain(
        `go all ${name.split('.')[0]} of this cluster, used or not, and nobody looks after what they serve: confirm by kubectl annotate crd ${name} bootfarm.io/confirm-delete=yes`,
      );
    const all = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    expect(refusal('delete', '--raw', all)).toContain('confirm by kubectl annotate crd');
    expect(kubectl('get', 'crd', ...CRDS, '--output=jsonpath={.items[*].metadata.deletionTimestamp}')).toBe('');
    kubectl('annotate', 'crd', 'vdisks.bootfarm.io', 'bootfarm.io/confirm-delete=yes');
    expect(kubectl('delete', 'crd', 'vdisks.bootfarm.io')).toContain('deleted');
  });
});
