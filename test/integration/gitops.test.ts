/**
 * What Argo CD and Flux make of the four kinds, by their own engines (`test/gitops/judge`): each state of each kind, in the words of the script
 * and the expressions that deploy/ ships. And whether their API servers take what deploy/ ships.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { conditionsOf, type Verdict } from '../../src/resources/conditions.ts';
import { KINDS, type KindName } from '../../src/resources/kinds.ts';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../builders/resources.ts';
import { binary } from '../cluster/cluster.ts';
import { run, until } from '../cluster/run.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-gitops-'));
afterAll(() => rmSync(folder, { recursive: true }));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Answer {
  readonly status?: string;
  readonly message?: string;
  readonly error?: string;
}
interface Expressions {
  readonly apiVersion: string;
  readonly kind: string;
  readonly inProgress: string;
  readonly failed: string;
  readonly current: string;
}

const scripts: Readonly<Record<string, string>> = parse(read('deploy/argocd/argocd-cm.yaml')).data;
const expressions: readonly Expressions[] = parseAllDocuments(read('deploy/flux/bootfarm.yaml')).flatMap(
  (document) => document.toJS().spec.healthCheckExprs ?? [],
);

let judge: ChildProcess;
let answers: AsyncIterator<string>;
beforeAll(() => {
  judge = spawn(join(root, '.build/gitops/judge'), { stdio: ['pipe', 'pipe', 'inherit'] });
  if (judge.stdout) answers = createInterface({ input: judge.stdout })[Symbol.asyncIterator]();
});
afterAll(async () => {
  judge.stdin?.end();
  await once(judge, 'exit');
});
async function ask(question: object): Promise<Answer> {
  judge.stdin?.write(`${JSON.stringify(question)}\n`);
  return JSON.parse((await answers.next()).value);
}

const build = { Farm: aFarm, Store: aStore, StreamingServer: aStreamingServer, VDisk: aVDisk } as const;
const now = new Date('2026-01-01T00:00:00Z');
const ready: Verdict = { kind: 'ready', message: 'it serves' };
const verdicts = {
  ready,
  'ready, a new spec on its way': { ...ready, progress: { reason: 'RollingOut', message: 'one of two' } },
  'at work': { kind: 'reconciling', reason: 'ServersStarting', message: 'servers start' },
  stuck: { kind: 'stalled', reason: 'SpecInvalid', message: 'spec.site is wrong' },
} as const satisfies Record<string, Verdict>;
type VerdictName = keyof typeof verdicts;

interface State {
  readonly says: string;
  readonly verdict?: VerdictName;
  readonly degraded?: true;
  /** Of the spec that is there; the look was at 1. */
  readonly generation?: 2;
  readonly deleted?: true;
  readonly argo: readonly [status: string, message: string];
  readonly kstatus: 'Current' | 'InProgress' | 'Failed' | 'Terminating';
}

const NOT_LOOKED = 'the operator has not looked at this spec yet';
const STATES: readonly State[] = [
  { says: 'just made', argo: ['Progressing', NOT_LOOKED], kstatus: 'InProgress' },
  { says: 'it serves', verdict: 'ready', argo: ['Healthy', 'it serves'], kstatus: 'Current' },
  {
    says: 'it serves, worse than wanted',
    verdict: 'ready',
    degraded: true,
    argo: ['Healthy', 'a server is away'],
    kstatus: 'Current',
  },
  {
    says: 'it serves, and a new spec is put into effect',
    verdict: 'ready, a new spec on its way',
    argo: ['Progressing', 'one of two'],
    kstatus: 'InProgress',
  },
  { says: 'not yet', verdict: 'at work', argo: ['Progressing', 'servers start'], kstatus: 'InProgress' },
  { says: 'never', verdict: 'stuck', argo: ['Degraded', 'spec.site is wrong'], kstatus: 'Failed' },
  ...(['ready', 'at work', 'stuck'] as const).flatMap((verdict): State[] => [
    {
      says: `${verdict}, and the spec was changed since`,
      verdict,
      generation: 2,
      argo: ['Progressing', NOT_LOOKED],
      kstatus: 'InProgress',
    },
    {
      says: `${verdict}, and being deleted`,
      verdict,
      deleted: true,
      argo: ['Progressing', 'Pending deletion'],
      kstatus: 'Terminating',
    },
  ]),
];

function objectIn(kind: KindName, state: State): object {
  const { apiVersion, spec, metadata } = build[kind]();
  const look = (verdict: VerdictName) => ({
    verdict: verdicts[verdict],
    generation: 1,
    ...(state.degraded ? { degraded: { reason: 'ServerUnreachable', message: 'a server is away' } as const } : {}),
  });
  const status = state.verdict
    ? { observedGeneration: 1, conditions: conditionsOf([], look(state.verdict), now) }
    : { observedGeneration: -1 };
  const deleted = state.deleted ? { deletionTimestamp: now.toISOString(), finalizers: ['bootfarm.io/done'] } : {};
  return { apiVersion, kind, metadata: { ...metadata, generation: state.generation ?? 1, ...deleted }, spec, status };
}

describe.each(Object.keys(KINDS) as KindName[])('%s', (kind) => {
  describe.each(STATES)('$says', (state) => {
    const object = objectIn(kind, state);
    test(`is ${state.argo[0]} to Argo CD`, async () => {
      const lua = scripts[`resource.customizations.health.bootfarm.io_${kind}`];
      expect(await ask({ object, lua })).toEqual({ status: state.argo[0], message: state.argo[1] });
    });
    test(`is ${state.kstatus} to kstatus, so to Flux, Helm and kubectl`, async () => {
      expect(await ask({ object })).toMatchObject({ status: state.kstatus });
    });
    // What is being deleted is not asked for its health: Flux waits for it to be gone.
    if (!state.deleted)
      test(`is ${state.kstatus} to the expressions of Flux`, async () => {
        const own = expressions.find((one) => one.kind === kind);
        expect(own?.apiVersion).toBe('bootfarm.io/v1alpha1');
        expect(await ask({ object, expressions: own })).toEqual({ status: state.kstatus });
      });
  });
});

test('an Application has the health that it says, so that a sync wave waits for it', async () => {
  const lua = scripts['resource.customizations.health.argoproj.io_Application'];
  const object = (status: object) => ({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: {},
    status,
  });
  expect(await ask({ object: object({}), lua })).toEqual({ status: 'Progressing' });
  const health = { status: 'Degraded', message: 'no' };
  expect(await ask({ object: object({ health }), lua })).toEqual(health);
});

test('a script that fails says so', async () => {
  const object = objectIn('Farm', { says: '', argo: ['', ''], kstatus: 'Current' });
  expect((await ask({ object, lua: 'return string.upper("no")' })).error).toContain('attempt to index a non-table');
  expect((await ask({ object, lua: 'return 1' })).error).toContain('gives number');
});

describe('an API server with the CRDs of Argo CD and Flux', () => {
  let api: ApiServer;
  const kubectl = (...args: string[]): string => run(binary('kubectl'), '--kubeconfig', api.kubeconfig, ...args);
  beforeAll(async () => {
    api = await startApiServer(join(folder, 'api'));
    kubectl('create', '--filename', join(root, '.build/gitops/crds'));
    await until('the CRDs served', 30_000, () =>
      kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'),
    );
    for (const name of ['argocd', 'flux-system']) kubectl('create', 'namespace', name);
  });
  afterAll(() => api.stop());

  test.each([
    ['deploy/argocd/argocd-cm.yaml', 1],
    ['deploy/argocd/bootfarm.yaml', 3],
    ['deploy/flux/bootfarm.yaml', 3],
    ['deploy/flux/operator.yaml', 2],
  ])('takes every field of %s', (path, objects) => {
    const said = kubectl('apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', join(root, path));
    expect(said.match(/serverside-applied/g)).toHaveLength(objects);
  });
});
