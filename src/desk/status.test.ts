import { describe, expect, test } from '@jest/globals';
import type { Condition, FarmAnswer, ServerAnswer } from './answers.ts';
import { type FarmSeen, statusOf } from './status.ts';
import { statusText } from './status-view.ts';

const condition = (type: string, status: string, reason = 'Settled', message = ''): Condition => ({
  ...{ type, status, reason, message },
});
const READY = [condition('Ready', 'True')];
const farm: FarmAnswer = { namespace: 'lab', name: 'farm', conditions: READY, suspend: false, collections: [] };
const store = { name: 'images', kind: 'local', conditions: READY, servers: [] };
const vdisk = {
  ...{ name: 'lab', store: 'images', fileName: 'lab', enabled: true, conditions: READY, devices: 0, versions: [] },
};
const pool = { name: 'main', site: 'default', conditions: READY };
const server: ServerAnswer = {
  ...{ name: 'node-a', pool: 'main', site: 'default', state: 'Streaming', addresses: [], devices: 1, booting: 0 },
  ...{ loadPercent: 1, powerRating: 1, message: '' },
};
const seen = (more: Partial<FarmSeen> = {}): FarmSeen => ({
  ...{ farm, stores: [store], vdisks: [vdisk], pools: [pool], servers: [server] },
  ...more,
});
const bad = (reason: string, message: string) => [condition('Ready', 'False', reason, message)];

describe('the first thing in the way', () => {
  test('nothing', () => {
    expect(statusOf(seen())).toMatchObject({ isHealthy: true, farm: 'farm', namespace: 'lab' });
    expect(statusOf(seen()).inTheWay).toBeUndefined();
  });

  test.each<[string, Partial<FarmSeen>, object, RegExp]>([
    [
      'what is stalled comes before what waits for it',
      {
        stores: [
          {
            ...store,
            conditions: [
              ...bad('NoServerAccess', 'x'),
              condition('Stalled', 'True', 'PathOutsideRoots', 'no root holds /a'),
            ],
          },
        ],
        vdisks: [{ ...vdisk, conditions: bad('FilesMissing', 'nobody has it') }],
      },
      { kind: 'Store', health: 'Bad', state: 'Stalled', message: 'PathOutsideRoots: no root holds /a' },
      /kubectl describe store.bootfarm.io -n lab images/,
    ],
    [
      'what is bad further on comes before what is only worse',
      {
        farm: {
          ...farm,
          conditions: [...READY, condition('DatabaseReachable', 'False', 'DatabaseUnreachable', 'it is away')],
        },
        servers: [{ ...server, state: 'Refused', message: 'port 67 is taken' }],
      },
      { kind: 'Server', health: 'Bad', state: 'Refused', message: 'port 67 is taken' },
      /do what its message says/,
    ],
    [
      'a database that is away, while machines stream',
      {
        farm: {
          ...farm,
          conditions: [...READY, condition('DatabaseReachable', 'False', 'DatabaseUnreachable', 'it is away')],
        },
      },
      { kind: 'Farm', health: 'Worse', state: 'not DatabaseReachable', message: 'DatabaseUnreachable: it is away' },
      /kubectl describe farm.bootfarm.io -n lab farm/,
    ],
    [
      'a farm that is suspended',
      { farm: { ...farm, suspend: true } },
      { kind: 'Farm', health: 'Worse', state: 'Suspended' },
      /set spec.suspend of the Farm to false/,
    ],
    [
      'no vDisk at all',
      { vdisks: [] },
      { kind: 'VDisk', health: 'Bad', state: 'Missing' },
      /apply a VDisk in namespace lab/,
    ],
    [
      'a vDisk',
      { vdisks: [{ ...vdisk, conditions: bad('FilesMissing', 'nobody has it') }] },
      { kind: 'VDisk', health: 'Bad', state: 'NotReady' },
      /bootfarm replication lab/,
    ],
    [
      'a server that does not answer',
      { servers: [{ ...server, state: 'Unreachable', message: 'no answer for 12 s' }] },
      { kind: 'Server', health: 'Bad' },
      /kubectl get node node-a/,
    ],
    ['a pool without a server', { servers: [] }, { kind: 'Server', state: 'Missing' }, /kubectl get pods -n lab/],
    [
      'what nobody looked at yet',
      { farm: { ...farm, conditions: [] } },
      { kind: 'Farm', state: 'Unknown', message: 'the operator has not looked at it yet' },
      /the log of the operator/,
    ],
  ])('%s', (_what, more, step, todo) => {
    const { isHealthy, inTheWay } = statusOf(seen(more));
    expect(isHealthy).toBe(false);
    expect(inTheWay).toMatchObject({ step, todo: expect.stringMatching(todo) });
  });

  test('a vDisk that a person switched off is not in the way', () => {
    const off = { ...vdisk, enabled: false, conditions: bad('Disabled', 'spec.enabled is false') };
    expect(statusOf(seen({ vdisks: [off] })).isHealthy).toBe(true);
  });
});

describe('as text', () => {
  const many = Array.from({ length: 30 }, (_, at) => ({ ...server, name: `node-${at}` }));
  const LONG = 'its node does not answer since 2026-11-30T04:00:00Z: look at the switch, then at the node itself';
  const worse = statusOf(
    seen({ servers: [...many, { ...server, name: 'node-x', state: 'Unreachable', message: LONG }] }),
  );

  test.each([80, 120, 200])(
    '%d characters wide: no line of the table is longer, and the message is whole below',
    (width) => {
      const [table = '', end = ''] = statusText(worse, { width }).split('\n\n');
      expect(Math.max(...table.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(table).toContain('22 more');
      expect(end).toContain(`In the way of farm lab/farm: Server node-x, Unreachable: ${LONG}\nWhat to do: `);
    },
  );

  test('-o wide has each of them', () => {
    expect(
      statusText(worse, { isWide: true })
        .split('\n')
        .filter((line) => line.includes('Server')),
    ).toHaveLength(33);
  });

  test('all is well', () => {
    expect(statusText(statusOf(seen()), { width: 80 })).toBe(
      [
        '     KIND              NAME     STATE       MESSAGE',
        'ok   Farm              farm     Ready       -',
        'ok   Store             images   Ready       -',
        'ok   VDisk             lab      Ready       -',
        'ok   StreamingServer   main     Ready       -',
        'ok   Server            node-a   Streaming   -',
        '',
        'Farm lab/farm: all is well.',
        '',
      ].join('\n'),
    );
  });
});
