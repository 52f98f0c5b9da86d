import { expect, test } from '@jest/globals';
import { forbiddenImages, forbiddenPaths, overlaps, type Settings } from './context.ts';

const settings: Settings = {
  image: 'bootfarm:1',
  release: '1',
  allowedHostPaths: ['/srv', '/var/lib/bootfarm'],
  allowedImages: ['reg.example/team', 'reg.example:5000/', 'other.example/bootfarm:1'],
};

test.each([
  { image: 'bootfarm:1', allowed: true },
  { image: 'reg.example/team', allowed: true },
  { image: 'reg.example/team/bootfarm:2', allowed: true },
  { image: 'reg.example/team:2', allowed: true },
  { image: 'reg.example/team@sha256:00', allowed: true },
  { image: 'reg.example:5000/any', allowed: true },
  { image: 'reg.example/teamwork', allowed: false },
  { image: 'reg.example/team.evil.example/x', allowed: false },
  { image: 'other.example/bootfarm:10', allowed: false },
  { image: 'bootfarm:10', allowed: false },
  { image: '', allowed: false },
])('image $image: allowed $allowed', ({ image, allowed }) => {
  expect(forbiddenImages(settings, [image])).toEqual(allowed ? [] : [image]);
});

test.each([
  { path: '/srv', allowed: true },
  { path: '/srv/vdisks', allowed: true },
  { path: '/srvother', allowed: false },
  { path: '/var/lib', allowed: false },
])('host path $path: allowed $allowed', ({ path, allowed }) => {
  expect(forbiddenPaths(settings, [path])).toEqual(allowed ? [] : [path]);
});

/** What a server mounts, and where a database lies. */
test.each([
  { paths: ['/srv/vdisks'], folders: ['/var/lib/bootfarm/database'], shared: [] },
  {
    paths: ['/var/lib/bootfarm'],
    folders: ['/var/lib/bootfarm/database'],
    shared: [['/var/lib/bootfarm', '/var/lib/bootfarm/database']],
  },
  { paths: ['/data/db/disks'], folders: ['/data/db'], shared: [['/data/db/disks', '/data/db']] },
  { paths: ['/data/db'], folders: ['/data/db'], shared: [['/data/db', '/data/db']] },
  { paths: ['/data/db2'], folders: ['/data/db'], shared: [] },
])('$paths beside $folders', ({ paths, folders, shared }) => {
  expect(overlaps(paths, folders)).toEqual(shared);
});
