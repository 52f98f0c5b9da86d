/** How a deletion ends: each kind in each situation, until its finalizer goes. */
import { expect, test } from '@jest/globals';
import { aFarm, aStore, aStreamingServer, aVDisk } from '../../test/builders/resources.ts';
import { FakeInformer } from '../../test/fakes/informer.ts';
import { fail, ok } from '../kit/result.ts';
import type { Informer } from '../kube/informer.ts';
import { joinInformers } from '../kube/informers.ts';
import type { KubeObject, Target } from '../kube/object.ts';
import type { Context } from './context.ts';
import { type Member, type MemberKind, reconcileMember } from './member.ts';
import { Quiet } from './quiet.ts';
import { storeMember } from './store/reconcile.ts';
import { poolMember } from './streamingserver/reconcile.ts';
import { vdiskMember } from './vdisk/reconcile.ts';

const spec = { farmRef: { name: 'farm' } };
const KINDS = {
  Store: { member: storeMember, object: aStore({ metadata: { name: 'it' }, spec }) },
  VDisk: { member: vdiskMember, object: aVDisk({ metadata: { name: 'it' }, spec }) },
  StreamingServer: { member: poolMember, object: aStreamingServer({ metadata: { name: 'it' }, spec }) },
} as const;

interface Situation {
  readonly farm?: boolean;
  /** What the API gives the operator in this namespace. */
  readonly sees?: 'All' | 'FourKinds' | 'Nothing';
  readonly database?: 'Answers' | 'Away' | 'NeverThere';
  readonly deployments?: readonly string[];
  readonly sinceMs?: number;
  /** Its CRD is being deleted. */
  readonly kindGoes?: boolean;
  /** What the API says when it is asked for its CRD. */
  readonly kindFault?: 'Forbidden' | 'ServerError';
}

/** One look; then `gone`, or what its status says. */
async function observe(kind: MemberKind, situation: Situation): Promise<string> {
  const {
    farm = true,
    sees = 'All',
    database = 'Answers',
    deployments = [],
    sinceMs = 1_000,
    kindGoes = false,
    kindFault,
  } = situation;
  const { member, object } = KINDS[kind];
  const metadata = {
    ...{ ...object.metadata, namespace: 'lab', resourceVersion: '1', finalizers: ['bootfarm.io/rows'] },
    deletionTimestamp: new Date(Date.now() - sinceMs).toISOString(),
  };
  const informer = (seen: boolean, objects: readonly object[] = []) => {
    const fake = new FakeInformer(undefined, 'lab');
    if (seen) fake.learn({ kind: 'Snapshot', objects: objects as readonly KubeObject[] });
    else for (const found of objects) fake.put(found as KubeObject);
    return joinInformers([fake as unknown as Informer]);
  };
  const own = (which: MemberKind): readonly object[] => (which === kind ? [{ ...object, metadata }] : []);
  const servers = deployments.map((node) => ({
    metadata: {
      ...{
        name: `it-${node}`,
        namespace: 'lab',
        uid: node,
        resourceVersion: '1',
        labels: { 'bootfarm.io/farm': 'farm', 'bootfarm.io/pool': 'it' },
      },
      ...{ annotations: { 'bootfarm.io/node': node }, deletionTimestamp: '2026-11-23T12:00:00Z' },
    },
  }));
  const nodes = new FakeInformer();
  nodes.learn({ kind: 'Snapshot', objects: [] });
  let said = 'nothing';
  const orphaned: string[] = [];
  const deleted: string[] = [];
  const answer = database === 'Answers' ? ok(undefined) : fail('Unreachable', 'no answer');
  const runtime = { rows: async () => (answer.ok ? { servers: [] } : undefined), writes: { run: async () => answer } };
  const context = {
    client: {
      get: async ({ kind: asked }: Target) => {
        if (asked !== 'CustomResourceDefinition')
          return ok({ metadata: { ownerReferences: [{ uid: object.metadata.uid }] } });
        if (kindFault) return fail(kindFault, 'it may not, or the API is busy');
        return ok({ metadata: kindGoes ? { deletionTimestamp: '2026-11-23T12:00:00Z' } : {} });
      },
      patch: async (
        { name = '' }: Target,
        {
          metadata: { finalizers, ownerReferences },
        }: { metadata: { finalizers?: readonly string[]; ownerReferences?: null } },
      ) => {
        if (ownerReferences === null) orphaned.push(name);
        if (finalizers?.length === 0) said = ['gone', ...orphaned].join(' ');
        return ok({});
      },
      delete: async ({ name = '' }: Target) => ok(void deleted.push(name)),
      applyStatus: async (_: unknown, status: { conditions: readonly { type: string; message: string }[] }) => {
        said = status.conditions.find(({ type }) => type === 'Ready')?.message ?? '';
        return ok({});
      },
    },
    informers: {
      ...{ nodes, pods: informer(sees === 'All'), deployments: informer(sees === 'All', servers) },
      farms: informer(
        sees !== 'Nothing',
        farm
          ? [{ ...aFarm(), metadata: { name: 'farm', namespace: 'lab', uid: 'uid-farm', resourceVersion: '1' } }]
          : [],
      ),
      stores: informer(sees !== 'Nothing', own('Store')),
      vdisks: informer(sees !== 'Nothing', own('VDisk')),
      pools: informer(sees !== 'Nothing', own('StreamingServer')),
    },
    runtimes: { get: () => (database === 'NeverThere' ? undefined : runtime) },
    quiet: new Quiet(),
    log: { warn: () => {} },
  } as unknown as Context;
  await reconcileMember(context, member as Member<MemberKind>, 'lab/it', new AbortController().signal);
  expect(kindGoes ? deleted : []).toEqual([]);
  return said;
}

const LATE_MS = 200_000;
const cases: readonly { what: string; given: Situation; ends: Partial<Record<MemberKind, string>>; others?: string }[] =
  [
    { what: 'all is well', given: {}, ends: {}, others: 'gone' },
    { what: 'its Farm is gone', given: { farm: false, database: 'NeverThere' }, ends: {}, others: 'gone' },
    { what: 'its Farm is gone, servers run', given: { farm: false, deployments: ['a'] }, ends: {}, others: 'gone' },
    {
      what: 'its Farm is gone, and the Role of the namespace',
      given: { farm: false, sees: 'FourKinds' },
      ends: {},
      others: 'gone',
    },
    { what: 'the Role is gone, and its Farm is not', given: { sees: 'FourKinds' }, ends: {}, others: 'nothing' },
    {
      what: 'nobody knows whether its Farm is gone',
      given: { farm: false, sees: 'Nothing' },
      ends: {},
      others: 'nothing',
    },
    {
      what: 'nobody knows, for minutes',
      given: { farm: false, sees: 'Nothing', sinceMs: LATE_MS },
      ends: {},
      others: 'gone',
    },
    {
      what: 'servers end',
      given: { deployments: ['b', 'a'] },
      ends: { StreamingServer: 'it is being deleted: servers end: a, b' },
      others: 'gone',
    },
    {
      what: 'the database is away',
      given: { database: 'Away' },
      ends: {
        StreamingServer: 'it is being deleted: the farm database does not forget its servers: it does not answer',
      },
      others: 'it is being deleted: the farm database does not forget it: no answer',
    },
    {
      what: 'the database is away, for minutes',
      given: { database: 'Away', sinceMs: LATE_MS },
      ends: {},
      others: 'gone',
    },
    {
      what: 'its kind goes, and servers run',
      given: { kindGoes: true, farm: false, database: 'NeverThere', deployments: ['a'] },
      ends: { StreamingServer: 'gone bootfarm-server-it-a it-a' },
      others: 'gone',
    },
    {
      what: 'the API does not say whether its kind goes',
      given: { kindFault: 'ServerError', deployments: ['a'] },
      ends: {},
      others: 'nothing',
    },
    { what: 'an earlier Role may not ask that', given: { kindFault: 'Forbidden' }, ends: {}, others: 'gone' },
    {
      what: 'its Farm never ran',
      given: { database: 'NeverThere' },
      ends: {},
      others: 'it is being deleted: its Farm does not run yet: see its conditions',
    },
  ];
const table = cases.flatMap(({ what, given, ends, others = '' }) =>
  (Object.keys(KINDS) as MemberKind[]).map((kind) => ({ kind, what, given, ends: ends[kind] ?? others })),
);
test.each(table)('$kind, $what: $ends', async ({ kind, given, ends }) => {
  const said = await observe(kind, given);
  if (given.sinceMs === undefined) expect(said).toBe(ends);
  else expect(said).toBe('gone');
});
