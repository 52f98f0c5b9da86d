import { expect, test } from '@jest/globals';
import { silentLogger } from '../telemetry/log.ts';
import { BadCopies } from './badcopies.ts';

const LAB = { vdisk: 'lab', version: 3, manifest: 'ab'.repeat(32) };

test('a copy that gives wrong data is named until nothing wrong was read for ten minutes', () => {
  let now = 0;
  const bad = new BadCopies(silentLogger, () => now);
  expect(bad.faults).toEqual([]);
  bad.told(LAB, 'pc1 got wrong data', 2);
  now = 599_000;
  bad.told(LAB, 'the 512 bytes at 0 are wrong');
  bad.told({ ...LAB, vdisk: 'office' }, 'pc2 got wrong data');
  expect(bad.faults.map(({ code }) => code)).toEqual(['BadCopy', 'BadCopy']);
  expect(bad.faults[0]?.message).toContain('bad copy of lab version 3');
  now += 600_000;
  expect(bad.faults).toHaveLength(2);
  now += 1;
  expect(bad.faults).toEqual([]);
});
