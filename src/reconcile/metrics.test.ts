import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { aFarm, aVDisk } from '../../test/builders/resources.ts';
import type { KubeObject } from '../kube/object.ts';
import { resourceMetrics } from './metrics.ts';

const ready = (status: 'True' | 'False') => [
  { type: 'Ready', status, reason: 'Settled', message: '', lastTransitionTime: '2026-11-28T00:00:00Z' },
];
const view = (...objects: unknown[]) => ({ list: () => objects as KubeObject[] });
const told = async (registry: Registry): Promise<string[]> => (await registry.metrics()).match(/^bootfarm_.*$/gm) ?? [];

test('resources are told as their status is, and one that is gone takes its series along', async () => {
  const registry = new Registry();
  const metrics = resourceMetrics(registry);
  expect(await told(registry)).toEqual([]);
  const farm = aFarm({ status: { conditions: ready('True'), devices: { known: 5, streaming: 2, booting: 1 } } });
  const copies = ['UpToDate', 'UpToDate', 'Missing', 'PropertiesMissing'].map((state, at) => ({
    ...{ server: `node-${at}`, version: 0 },
    state,
  }));
  // A status leaves the right copies of versions out that nobody boots.
  const versions = [3, 4].map((upToDate, number) => ({ number, access: 'Production', upToDate, copies: 4 }));
  const vdisk = aVDisk({
    status: { conditions: ready('False'), copies: copies as never, versions: versions as never },
  });
  metrics.watch({ farms: view(farm), stores: view(), pools: view(), vdisks: view(vdisk) });
  const ofFarm = [
    'bootfarm_resource_ready{kind="Farm",namespace="lab",name="farm"} 1',
    'bootfarm_farm_devices{namespace="lab",name="farm",state="known"} 5',
    'bootfarm_farm_devices{namespace="lab",name="farm",state="streaming"} 2',
    'bootfarm_farm_devices{namespace="lab",name="farm",state="booting"} 1',
  ];
  const ofVDisk = [
    'bootfarm_resource_ready{kind="VDisk",namespace="lab",name="lab"} 0',
    'bootfarm_vdisk_copies{namespace="lab",name="lab",state="UpToDate"} 6',
    'bootfarm_vdisk_copies{namespace="lab",name="lab",state="Missing"} 1',
    'bootfarm_vdisk_copies{namespace="lab",name="lab",state="PropertiesMissing"} 1',
    'bootfarm_copy_state{namespace="lab",vdisk="lab",version="0",server="node-2",state="Missing"} 1',
    'bootfarm_copy_state{namespace="lab",vdisk="lab",version="0",server="node-3",state="PropertiesMissing"} 1',
  ];
  expect((await told(registry)).toSorted()).toEqual([...ofFarm, ...ofVDisk].toSorted());
  metrics.watch({ farms: view(farm), stores: view(), pools: view(), vdisks: view() });
  expect((await told(registry)).toSorted()).toEqual(ofFarm.toSorted());
});
