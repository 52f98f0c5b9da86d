import { expect, test } from '@jest/globals';
import { REASONS } from '../resources/conditions.ts';
import { findings, type Seen, summary } from './health.ts';
import type { Condition, Farm, Server, VDisk } from './shapes.ts';

const condition = (type: string, status: string, reason: string, message: string): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2026-11-30T08:00:00Z',
});
const READY = condition('Ready', 'True', 'Settled', 'it serves');
const farm = (conditions: readonly Condition[] = [READY], more: Partial<Farm> = {}): Farm => ({
  namespace: 'lab',
  name: 'farm',
  conditions: [...conditions],
  suspend: false,
  collections: [],
  devices: { known: 10, streaming: 4, booting: 0 },
  ...more,
});
const server = (name: string, state: string, message = ''): Server => ({
  ...{ name, state, message, pool: 'main', site: 'default', addresses: [] },
  ...{ devices: 4, booting: 0, powerRating: 1, loadPercent: 0 },
});
const vdisk = (name: string, conditions: readonly Condition[], more: Partial<VDisk> = {}): VDisk => ({
  ...{ name, store: 'local', fileName: name, enabled: true, conditions: [...conditions], devices: 0 },
  ...{ versions: [], work: [], unmanaged: [] },
  ...more,
});
const seen = (more: Partial<Seen> = {}): Seen => ({
  farm: farm(),
  servers: [server('node-a', 'Streaming')],
  stores: [],
  vdisks: [],
  ...more,
});
const told = (more: Partial<Seen>) =>
  findings(seen(more)).map(({ severity, subject, says }) => `${severity} ${subject}: ${says}`);

const behind = condition('Replicated', 'False', 'CopiesBehind', 'node-b: version 2 is Missing');

test.each<[string, Partial<Seen>, string[]]>([
  ['all is well', {}, []],
  [
    'not ready yet is broken',
    {
      farm: farm([
        condition('Ready', 'False', 'Progressing', 'x'),
        condition('Reconciling', 'True', 'VolumePending', 'no storage class'),
      ]),
    },
    ['broken Farm farm: No storage class.'],
  ],
  [
    'becoming another is work',
    { farm: farm([READY, condition('Reconciling', 'True', 'Progressing', 'the replica moves')]) },
    ['working Farm farm: The replica moves.'],
  ],
  [
    'the same words are said once, by the worst',
    { vdisks: [vdisk('lab', [READY, behind, condition('Degraded', 'True', 'CopiesBehind', behind.message)])] },
    ['worse vDisk lab: Node-b: version 2 is Missing.'],
  ],
  [
    'a server of several is worse, the last one broken',
    { servers: [server('node-a', 'Streaming'), server('node-b', 'Unreachable', 'no answer for 5 s')] },
    ['worse server node-b: It does not answer: no answer for 5 s.'],
  ],
  [
    'the last server',
    { servers: [server('node-a', 'Unreachable')] },
    ['broken server node-a: It does not answer; nobody else streams in site default.'],
  ],
  [
    'many of one kind are one sentence, worst first',
    {
      vdisks: ['a', 'b', 'c', 'd', 'e'].map((name) => vdisk(name, [READY, behind])),
      farm: farm([
        condition('Ready', 'False', 'SpecInvalid', 'x'),
        condition('Stalled', 'True', 'SpecInvalid', 'spec.sites is wrong'),
      ]),
    },
    ['broken Farm farm: Spec.sites is wrong.', 'worse 5 vDisks: a, b, c and 2 more. Node-b: version 2 is Missing.'],
  ],
  [
    'a job that failed',
    {
      vdisks: [
        vdisk('lab', [READY], {
          work: [{ server: 'node-a', id: 'j1', kind: 'merge', state: 'Failed', message: 'no room' }],
        }),
      ],
    },
    ['worse vDisk lab: Merge at server node-a failed: no room.'],
  ],
])('%s', (_, more, sentences) => expect(told(more)).toEqual(sentences));

test('every reason that is told keeps its time, and what to do where that is known', () => {
  const [finding] = findings(seen({ vdisks: [vdisk('lab', [READY, behind])] }));
  expect(finding).toMatchObject({
    since: Date.parse('2026-11-30T08:00:00Z'),
    todo: expect.stringMatching(/matrix/),
    page: 'vdisks',
    rest: ['lab'],
  });
  for (const reason of Object.keys(REASONS))
    for (const { says } of findings(seen({ farm: farm([condition('Degraded', 'True', reason, 'x')]) })))
      expect(says).toBe('X.');
});

test.each<[Partial<Seen>, string]>([
  [{}, 'good All is well. 1 server streams to 4 devices.'],
  [{ servers: [server('node-a', 'Unreachable')] }, 'broken 1 thing does not work. 0 servers stream to 4 devices.'],
  [
    { servers: [server('node-a', 'Streaming'), server('node-b', 'Refused')] },
    'worse The farm serves, and 1 thing is worse than wanted. 1 server streams to 4 devices.',
  ],
  [
    { servers: [server('node-a', 'Streaming'), server('node-b', 'Starting')] },
    'working The farm serves, and something is under way. 1 server streams to 4 devices.',
  ],
])('%j is %s', (more, words) => {
  const { severity, text } = summary(seen(more), findings(seen(more)));
  expect(`${severity} ${text}`).toBe(words);
});
