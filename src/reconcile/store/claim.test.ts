import { expect, test } from '@jest/globals';
import { judgeClaim } from './claim.ts';

const [RWX, ROX, RWO] = ['ReadWriteMany', 'ReadOnlyMany', 'ReadWriteOnce'];

test.each<{
  modes: string[];
  readOnly?: boolean;
  phase?: string;
  volumeMode?: string;
  stalled?: string;
  waits?: string;
}>([
  { modes: [RWX] },
  { modes: [RWO, RWX] },
  { modes: [ROX], readOnly: true },
  { modes: [ROX], stalled: 'set spec.persistentVolumeClaim.readOnly: true' },
  { modes: [RWO], stalled: 'has accessModes ReadWriteOnce, and several nodes mount it: it needs ReadWriteMany or' },
  { modes: [RWO], readOnly: true, stalled: 'it needs ReadWriteMany or ReadOnlyMany' },
  { modes: [RWX], volumeMode: 'Block', stalled: 'is a block device' },
  { modes: [RWX], phase: 'Pending', waits: 'claim vdisks is Pending: no volume is bound to it' },
  { modes: [RWX], phase: 'Lost', waits: 'claim vdisks is Lost' },
])('a claim of $modes, $phase', ({ modes, readOnly = false, phase = 'Bound', volumeMode = 'Filesystem', ...says }) => {
  const found = judgeClaim('vdisks', readOnly, { spec: { accessModes: modes, volumeMode }, status: { phase } });
  expect([found.fault?.reason, found.fault?.message, found.waits]).toEqual([
    says.stalled && 'ClaimNotShared',
    says.stalled && expect.stringContaining(says.stalled),
    says.waits && expect.stringContaining(says.waits),
  ]);
});
