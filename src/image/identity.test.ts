import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs';
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

test('two files with the same size and times behind a link that is led to the other are two', () => {
  const at = join(folder, 'led');
  const look = (): string => identityOf(statSync(join(at, 'lab'), { bigint: true }), statfsSync(at).type);
  // A chmod of both gives both one time of change, as seen on kernels whose clock of files ticks each 4 ms; here it is asked for until it does.
  const script = 'rm -rf led; mkdir led; cd led; printf a > a; printf b > b; touch -d 2026-01-01 a b; ln -s a lab';
  for (let again = 0; ; again++) {
    execFileSync('sh', ['-c', `${script}; chmod 600 a b`], { cwd: folder });
    const [a, b] = ['a', 'b'].map((name) => statSync(join(at, name), { bigint: true }).ctimeNs);
    if (a === b) break;
    if (again === 200) throw new Error('no two files were changed at one time');
  }
  const before = look();
  execFileSync('ln', ['-sfn', 'b', 'lab'], { cwd: at });
  expect([sameFile(before, look()), sameFile(look(), before)]).toEqual([false, false]);
});

test.each([
  { what: 'another inode at each look', now: '8:100:5:6:1', same: true },
  { what: 'another inode where inodes last', now: '8:100:5:6:1:lasting', same: false },
  { what: 'the same inode where inodes last', now: '7:100:5:6:1:lasting', same: true },
  { what: 'a chmod', now: '7:100:5:9:1', same: true },
  { what: 'a mount anew, which has another device', now: '7:100:5:6:2:lasting', same: true },
  { what: 'a file of another disk that has its inode', now: '7:100:5:9:2:lasting', same: false },
  { what: 'another inode and time of change', now: '8:100:5:9:1', same: false },
  { what: 'another size', now: '7:101:5:6:1', same: false },
  { what: 'another time', now: '7:100:6:6:1', same: false },
])('$what: $same', ({ now, same }) => {
  expect([sameFile('7:100:5:6:1', now), sameFile(now, '7:100:5:6:1')]).toEqual([same, same]);
});

test.each([
  { what: 'ext4', type: 0xef53, lasts: true },
  { what: 'NFS', type: 0x6969, lasts: true },
  { what: 'FUSE', type: 0x65735546, lasts: false },
  { what: 'CIFS', type: 0xff534d42, lasts: false },
  { what: 'one that is not asked', type: undefined, lasts: false },
])('inodes of $what last: $lasts', ({ type, lasts }) => {
  const [one, other] = [1n, 2n].map((ino) => identityOf({ ino, size: 1n, mtimeNs: 1n, ctimeNs: 1n, dev: 1n }, type));
  expect(sameFile(one ?? '', other ?? '')).toBe(!lasts);
});

test('where inodes last and times of change grow, only the same inode with the same size and time is the same', () => {
  const few = fc.bigInt(1n, 3n);
  const file = fc.record({ ino: few, size: few, mtimeNs: few, dev: few });
  fc.assert(
    fc.property(file, file, fc.bigInt(0n, 9n), fc.bigInt(1n, 9n), (before, after, ctimeNs, later) => {
      const same = sameFile(identityOf({ ...before, ctimeNs }), identityOf({ ...after, ctimeNs: ctimeNs + later }));
      const parts = ['ino', 'size', 'mtimeNs', 'dev'] as const;
      expect(same).toBe(parts.every((part) => before[part] === after[part]));
    }),
    { seed: 17 },
  );
});
