import { expect, test } from '@jest/globals';
import { podFault, refusedPod, withHolder } from './pods.ts';

type Status = NonNullable<Parameters<typeof podFault>[0]['status']>;
const waiting = (reason: string, more: object = {}) => ({
  containerStatuses: [{ name: 'server', image: 'nothing:1', state: { waiting: { reason, ...more } } }],
});

test.each<{ what: string; status?: Status; says: string | undefined }>([
  { what: 'a new one', says: undefined },
  { what: 'one that is being made', status: waiting('ContainerCreating'), says: undefined },
  {
    what: 'one that runs',
    status: { containerStatuses: [{ name: 'server', state: { running: {} } }] },
    says: undefined,
  },
  {
    what: 'an image',
    status: waiting('ErrImagePull', { message: 'not found' }),
    says: 'image nothing:1 cannot be pulled',
  },
  { what: 'the same image', status: waiting('ImagePullBackOff'), says: 'image nothing:1 cannot be pulled' },
  {
    what: 'a Secret',
    status: waiting('CreateContainerConfigError', { message: 'secret "x" not found' }),
    says: 'container server: CreateContainerConfigError: secret "x" not found',
  },
  {
    what: 'a process that ends',
    status: {
      initContainerStatuses: [
        {
          name: 'init',
          state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s' } },
          lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
        },
      ],
    },
    says: 'container init ends again and again (OOMKilled, exit code 137)',
  },
  {
    what: 'a process that says why it ends',
    status: {
      containerStatuses: [
        {
          name: 'postgres',
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 75, reason: 'Error', message: 'another pod works in this folder\n' } },
        },
      ],
    },
    says: 'container postgres ends again and again: another pod works in this folder',
  },
  {
    what: 'the same while it runs once more',
    status: {
      initContainerStatuses: [
        {
          name: 'init',
          ready: false,
          state: { running: {} },
          lastState: { terminated: { exitCode: 75, message: 'another pod works in this folder\n' } },
        },
      ],
    },
    says: 'container init ends again and again: another pod works in this folder',
  },
  {
    what: 'one that has come through',
    status: {
      containerStatuses: [
        {
          name: 'postgres',
          ready: true,
          state: { running: {} },
          lastState: { terminated: { exitCode: 75, message: 'another pod works in this folder\n' } },
        },
      ],
    },
    says: undefined,
  },
  {
    what: 'a node that is full',
    status: { conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes are available' }] },
    says: '0/3 nodes are available',
  },
  {
    what: 'an eviction',
    status: { phase: 'Failed', reason: 'Evicted', message: 'low on disk' },
    says: 'Evicted: low on disk',
  },
])('what keeps a pod: $what', ({ status, says }) => {
  const told = podFault({ metadata: { name: 'main-node-a-x' }, ...(status ? { status } : {}) });
  expect(told).toEqual(says === undefined ? undefined : expect.stringContaining(`pod main-node-a-x: ${says}`));
});

test('one that ends is no fault', () => {
  const metadata = { name: 'x', deletionTimestamp: '2026-11-23T12:00:00Z' };
  expect(podFault({ metadata, status: waiting('ErrImagePull') })).toBeUndefined();
});

test('a pod that may not be made', () => {
  const conditions = [{ type: 'ReplicaFailure', status: 'True', message: 'violates PodSecurity' }];
  expect(refusedPod({ metadata: { name: 'x' }, status: { conditions } })).toBe('violates PodSecurity');
  expect(refusedPod({ metadata: { name: 'x' }, status: {} })).toBeUndefined();
});

test.each([
  {
    what: 'with a server of another farm',
    fault: "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    holder: 'Farm annex/farm',
    says: 'the server of Farm annex/farm on node-a has them',
  },
  {
    what: 'with nobody that is seen',
    fault: "1 node(s) didn't have free ports",
    holder: undefined,
    says: 'free ports',
  },
  { what: 'with another fault', fault: 'Insufficient memory', holder: 'Farm annex/farm', says: 'Insufficient memory' },
])('a node $what: $says', ({ fault, holder, says }) => {
  const told = withHolder(fault, 'node-a', holder);
  expect(told.startsWith(fault)).toBe(true);
  expect(told).toContain(says);
  expect(told.includes('annex')).toBe(holder !== undefined && fault.includes('ports'));
});
