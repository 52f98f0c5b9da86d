import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { identityOf, sameFile } from './identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-identity-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  { what: 'nothing happened', after: 'true', same: true },
  { what: 'its mode changed', after: 'chmod 600 lab', same: true },
  { what: 'it has one more name', after: 'ln lab more', same: true },
  { what: 'it was renamed there and back', after: 'mv lab away; mv away lab', same: true },
  { what: 'it was touched', after: 'touch lab', same: false },
  { what: 'it was written', after: 'printf b | dd of=lab conv=notrunc status=none', same: false },
  { what: 'it grew, with its time put back', after: 'cp -p lab t; printf b >> lab; touch -r t lab', same: false },
  { what: 'another with its size and time is there', after: 'cp -p lab new; mv new lab', same: false },
])('a file of which $what is the same: $same', ({ after, same }) => {
  const look = (): string => identityOf(statSync(join(folder, 'lab'), { bigint: true }));
  execFileSync('sh', ['-c', 'rm -f *; printf a > lab; touch -d 2026-01-01 lab'], { cwd: folder });
  const before = look();
  execFileSync('sh', ['-c', after], { cwd: folder });
  expect(sameFile(before, look())).toBe(same);
});

test.each([
  { what: 'another inode at each look', now: '8:100:5:6', same: true },
  { what: 'a chmod', now: '7:100:5:9', same: true },
  { what: 'another inode and time of change', now: '8:100:5:9', same: false },
  { what: 'another size', now: '7:101:5:6', same: false },
  { what: 'another time', now: '7:100:6:6', same: false },
])('$what: $same', ({ now, same }) => {
  expect([sameFile('7:100:5:6', now), sameFile(now, '7:100:5:6')]).toEqual([same, same]);
});

test('where inodes last and times of change grow, only the same inode with the same size and time is the same', () => {
  const file = fc.record({ ino: fc.bigInt(1n, 3n), size: fc.bigInt(0n, 2n), mtimeNs: fc.bigInt(0n, 2n) });
  fc.assert(
    fc.property(file, file, fc.bigInt(0n, 9n), fc.bigInt(1n, 9n), (before, after, ctimeNs, later) => {
      const same = sameFile(identityOf({ ...before, ctimeNs }), identityOf({ ...after, ctimeNs: ctimeNs + later }));
      expect(same).toBe(before.ino === after.ino && before.size === after.size && before.mtimeNs === after.mtimeNs);
    }),
    { seed: 17 },
  );
});
