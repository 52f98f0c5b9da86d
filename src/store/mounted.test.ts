import { expect, test } from '@jest/globals';
import { mountAt, mountOf, parseMounts, readMounts } from './mounted.ts';

const LINES = String.raw`22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:51 / /run/bootfarm-stores/nas ro,relatime master:7 - nfs4 nas:/vdisks rw,vers=4.2
41 40 0:52 /lab\040one /run/bootfarm-stores/nas rw,nosuid shared:9 master:8 - fuse x ro,user_id=0
cut off
`;

test('what the kernel lists is read, blanks in names too', () => {
  expect(parseMounts(LINES)).toEqual([
    {
      id: '22',
      parent: '1',
      device: '8:1',
      root: '/',
      point: '/',
      readOnly: false,
      readOnlyItself: false,
      source: 'ext4 /dev/sda1',
    },
    {
      ...{ id: '40', parent: '22', device: '0:51', root: '/' },
      point: '/run/bootfarm-stores/nas',
      readOnly: true,
      readOnlyItself: false,
      source: 'nfs4 nas:/vdisks',
    },
    {
      ...{ id: '41', parent: '40', device: '0:52', root: '/lab one' },
      point: '/run/bootfarm-stores/nas',
      readOnly: false,
      readOnlyItself: true,
      source: 'fuse x',
    },
  ]);
});

test.each([
  { what: 'none', lines: LINES, point: '/run/bootfarm-stores/other', id: undefined },
  { what: 'the upper of two', lines: LINES, point: '/run/bootfarm-stores/nas', id: '41' },
  {
    what: 'the upper of two in whatever order they are listed',
    lines: LINES.split('\n').toReversed().join('\n'),
    ...{ point: '/run/bootfarm-stores/nas', id: '41' },
  },
])('at a folder is $what', ({ lines, point, id }) => {
  expect(mountAt(parseMounts(lines), point)?.id).toBe(id);
});

test.each([
  ['/srv/vdisks', '22'],
  ['/run/bootfarm-stores/nas', '41'],
  ['/run/bootfarm-stores/nas/lab', '41'],
  ['/run/bootfarm-stores/nas2', '22'],
])('%s lies in mount %s', (path, id) => {
  expect(mountOf(parseMounts(LINES), path)?.id).toBe(id);
});

test('this machine has a root', () => {
  expect(mountAt(readMounts(), '/')).toBeDefined();
});
