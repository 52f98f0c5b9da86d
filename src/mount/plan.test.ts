import { expect, test } from '@jest/globals';
import type { Mount } from '../store/mounted.ts';
import { stepsToHold, stepsToRelease } from './plan.ts';

const BINDING = { from: '/source', to: '/target/write/nas' };
const aMount = (more: Partial<Mount>): Mount => ({
  ...{
    id: '40',
    parent: '22',
    device: '0:51',
    root: '/',
    point: '/source',
    readOnly: false,
    readOnlyItself: false,
    source: 'nfs4 nas:/vdisks',
  },
  ...more,
});
const source = aMount({});
const there = (more: Partial<Mount> = {}): Mount => aMount({ id: '50', point: BINDING.to, ...more });
const unmount = { kind: 'Unmount', at: BINDING.to };
const bind = { kind: 'Bind', ...BINDING };

test.each([
  { what: 'nothing is there', mounts: [source], steps: [bind] },
  { what: 'it is there', mounts: [source, there()], steps: [] },
  { what: 'another file system is there', mounts: [source, there({ device: '0:52' })], steps: [unmount, bind] },
  { what: 'another folder of it is there', mounts: [source, there({ root: '/old' })], steps: [unmount, bind] },
  { what: 'it is there and may not be written', mounts: [source, there({ readOnly: true })], steps: [unmount, bind] },
  {
    what: 'two lie on one another, and the upper is another one',
    mounts: [source, there(), there({ id: '51', parent: '50', device: '0:52' })],
    steps: [unmount, unmount, bind],
  },
  {
    what: 'two lie on one another, and the upper is right',
    mounts: [source, there({ device: '0:52' }), there({ id: '51', parent: '50' })],
    steps: [],
  },
  { what: 'the volume of this pod is not there', mounts: [there()], steps: [unmount, bind] },
])('where $what, $steps.length steps', ({ mounts, steps }) => {
  expect(stepsToHold([BINDING], mounts)).toEqual(steps);
});

test('at the end all that lies there goes, and nothing else', () => {
  const mounts = [source, there(), there({ id: '51', parent: '50' }), there({ point: '/target/write/other' })];
  expect(stepsToRelease([BINDING], mounts)).toEqual([unmount, unmount]);
});
