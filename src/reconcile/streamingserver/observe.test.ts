import { expect, test } from '@jest/globals';
import type { ServerView } from '../../operator/poller.ts';
import { nodeFacts, serverFacts } from './observe.ts';

type Deployment = Parameters<typeof serverFacts>[0];
const deployment = (status: NonNullable<Deployment['status']>, generation = 2, more: object = {}): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'main-node-a',
    generation,
    annotations: { 'bootfarm.io/node': 'node-a', 'bootfarm.io/settings': 'x' },
    ...more,
  },
  status,
});
const node = { ready: true };
const whole = { observedGeneration: 2, replicas: 1, updatedReplicas: 1, readyReplicas: 1 };

test.each([
  { what: 'one Ready pod of the newest template', status: whole, updated: true, rolledOut: true, podReady: true },
  {
    what: 'a new template that its controller has not seen',
    status: { ...whole, observedGeneration: 1 },
    ...{ updated: false, rolledOut: false, podReady: true },
  },
  {
    what: 'the old pod, still Ready',
    status: { ...whole, updatedReplicas: 0 },
    ...{ updated: false, rolledOut: false, podReady: true },
  },
  {
    what: 'a pod of the newest template that starts',
    status: { ...whole, readyReplicas: 0 },
    ...{ updated: true, rolledOut: false, podReady: false },
  },
  { what: 'no pod', status: { observedGeneration: 2 }, updated: true, rolledOut: false, podReady: false },
])('$what', ({ status, updated, rolledOut, podReady }) => {
  const facts = serverFacts(deployment(status), undefined, 'x', node);
  expect(facts).toMatchObject({ updated, rolledOut, podReady, current: true });
});

test('what a server said is worth something only while it can be reached', () => {
  const stores = ['Accessible', 'ReadOnly', 'Missing', 'Unreachable'].map((state) => ({ name: state, state }));
  const copies = ['Present', 'Hashing', 'Missing', 'Faulty'].map((state, version) => ({
    ...{ vdisk: 'lab', version, state, manifest: 'm' },
  }));
  const said = { state: 'Streaming', faults: [], devices: 5, journalEntries: 1, stores, copies };
  const status = said as unknown as NonNullable<ServerView['status']>;
  const view = { name: 'node-a', reachable: true, message: '', status } as ServerView;
  const facts = (seen: ServerView) => serverFacts(deployment(whole), seen, 'x', node);
  expect(facts(view)).toMatchObject({
    ...{ streaming: true, devices: 5, journalEntries: 1 },
    ...{ stores: ['Accessible', 'ReadOnly'], storesLost: ['Missing', 'Unreachable'] },
    ...{ copies: ['lab/0@m'], hashing: true },
  });
  expect(facts({ ...view, reachable: false })).toMatchObject({
    ...{ streaming: false, devices: 0, journalEntries: 0 },
    ...{ stores: [], storesLost: [], copies: [], hashing: false },
  });
});

test('other settings, and an end', () => {
  const ending = deployment(whole, 2, { deletionTimestamp: '2026-11-23T12:00:00Z' });
  expect(serverFacts(deployment(whole), undefined, 'y', node)).toMatchObject({ current: false, ending: false });
  expect(serverFacts(deployment(whole), undefined, undefined, node).current).toBe(false);
  expect(serverFacts(ending, undefined, 'x', node).ending).toBe(true);
});

test.each([
  { what: 'is Ready', found: { ready: true }, nodeAway: false },
  { what: 'is not Ready', found: { ready: false }, nodeAway: true },
  { what: 'is not there any more', found: undefined, nodeAway: false },
])('a server whose node $what', ({ found, nodeAway }) => {
  expect(serverFacts(deployment(whole), undefined, 'x', found)).toMatchObject({ nodeAway });
});

test('a node that is not Ready, and since when', () => {
  const aNode = (ready: string) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node-a' },
    status: { conditions: [{ type: 'Ready', status: ready, lastTransitionTime: '1970-01-01T00:00:01Z' }] },
  });
  expect(nodeFacts(aNode('True'))).toMatchObject({ ready: true, taints: [], unschedulable: false });
  expect(nodeFacts(aNode('Unknown'))).toMatchObject({ ready: false, notReadySince: 1_000 });
});
