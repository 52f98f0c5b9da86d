import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { aFarm, aStreamingServer, aVDisk } from '../../test/builders/resources.ts';
import { metricFaults, operatorTable } from '../../test/check/metrics.ts';
import type { KubeObject } from '../kube/object.ts';
import { resourceMetrics } from './metrics.ts';

const ready = (status: 'True' | 'False') => [
  { type: 'Ready', status, reason: 'Settled', message: '', lastTransitionTime: '2026-11-28T00:00:00Z' },
];
const view = (...objects: unknown[]) => ({ list: () => objects as KubeObject[] });
const told = async (registry: Registry): Promise<string[]> => (await registry.metrics()).match(/^bootfarm_.*$/gm) ?? [];

const condition = (type: string, value: 0 | 1, of: string): string =>
  `bootfarm_resource_condition{${of},type="${type}"} ${value}`;
const ABNORMAL = ['Reconciling', 'Stalled', 'Degraded'];

test('resources are told as their status is, and one that is gone takes its series along', async () => {
  const registry = new Registry();
  const metrics = resourceMetrics(registry);
  expect(await told(registry)).toEqual([]);
  const farm = aFarm({
    status: {
      conditions: [...ready('True'), ...ready('False').map((one) => ({ ...one, type: 'DatabaseReachable' }))],
      devices: { known: 5, streaming: 2, booting: 1 },
      servers: { ready: 1, total: 2 },
      sites: [{ name: 'default', servers: 1 }],
      replica: { followers: { ready: 1, total: 2 } },
      keys: { state: 'Overlapping', current: 2, ca: { state: 'Distributing' } },
    },
  });
  const copies = ['UpToDate', 'UpToDate', 'Missing', 'PropertiesMissing'].map((state, at) => ({
    ...{ server: `node-${at}`, version: 0 },
    state,
  }));
  // A status leaves the right copies of versions out that nobody boots.
  const versions = [3, 4].map((upToDate, number) => ({ number, access: 'Production', upToDate, copies: 4 }));
  const vdisk = aVDisk({
    spec: { minCopies: 2 },
    status: { conditions: ready('False'), bootVersion: 0, copies: copies as never, versions: versions as never },
  });
  const pool = aStreamingServer({
    status: {
      servers: [
        { name: 'node-a', state: 'Streaming' },
        { name: 'node-b', state: 'Unreachable' },
      ],
    },
  });
  metrics.watch({ farms: view(farm), stores: view(), pools: view(pool), vdisks: view(vdisk) });
  const inFarm = 'kind="Farm",namespace="lab",name="farm"';
  const inVDisk = 'kind="VDisk",namespace="lab",name="lab"';
  const inPool = 'kind="StreamingServer",namespace="lab",name="main"';
  const ofFarm = [
    `bootfarm_resource_ready{${inFarm}} 1`,
    ...[condition('Ready', 1, inFarm), condition('DatabaseReachable', 0, inFarm)],
    ...ABNORMAL.map((type) => condition(type, 0, inFarm)),
    'bootfarm_farm_devices{namespace="lab",name="farm",state="known"} 5',
    'bootfarm_farm_devices{namespace="lab",name="farm",state="streaming"} 2',
    'bootfarm_farm_devices{namespace="lab",name="farm",state="booting"} 1',
    'bootfarm_farm_servers{namespace="lab",name="farm",state="ready"} 1',
    'bootfarm_farm_servers{namespace="lab",name="farm",state="total"} 2',
    'bootfarm_farm_followers{namespace="lab",name="farm",state="ready"} 1',
    'bootfarm_farm_followers{namespace="lab",name="farm",state="total"} 2',
    'bootfarm_site_servers{namespace="lab",farm="farm",site="default"} 1',
    'bootfarm_farm_keys_change{namespace="lab",name="farm",what="keys"} 0',
    'bootfarm_farm_keys_change{namespace="lab",name="farm",what="ca"} 1',
  ];
  const ofPool = [
    `bootfarm_resource_ready{${inPool}} 0`,
    ...ABNORMAL.map((type) => condition(type, 0, inPool)),
    ...['Starting', 'Streaming', 'Draining', 'Unreachable', 'Refused'].map(
      (state) =>
        `bootfarm_pool_servers{namespace="lab",name="main",state="${state}"} ${Number(/Stre|Unre/.test(state))}`,
    ),
    'bootfarm_server_state{namespace="lab",pool="main",server="node-b",state="Unreachable"} 1',
  ];
  const ofVDisk = [
    `bootfarm_resource_ready{${inVDisk}} 0`,
    condition('Ready', 0, inVDisk),
    ...ABNORMAL.map((type) => condition(type, 0, inVDisk)),
    'bootfarm_vdisk_boot_copies{namespace="lab",name="lab",state="right"} 3',
    'bootfarm_vdisk_boot_copies{namespace="lab",name="lab",state="wanted"} 4',
    'bootfarm_vdisk_boot_copies{namespace="lab",name="lab",state="least"} 2',
    'bootfarm_vdisk_copies{namespace="lab",name="lab",state="UpToDate"} 6',
    'bootfarm_vdisk_copies{namespace="lab",name="lab",state="Missing"} 1',
    'bootfarm_vdisk_copies{namespace="lab",name="lab",state="PropertiesMissing"} 1',
    'bootfarm_copy_state{namespace="lab",vdisk="lab",version="0",server="node-2",state="Missing"} 1',
    'bootfarm_copy_state{namespace="lab",vdisk="lab",version="0",server="node-3",state="PropertiesMissing"} 1',
  ];
  expect((await told(registry)).toSorted()).toEqual([...ofFarm, ...ofPool, ...ofVDisk].toSorted());
  expect(metricFaults(await registry.metrics(), await operatorTable())).toEqual([]);
  metrics.watch({ farms: view(farm), stores: view(), pools: view(), vdisks: view() });
  expect((await told(registry)).toSorted()).toEqual(ofFarm.toSorted());
});
