import { expect, test } from '@jest/globals';
import { fail, ok } from '../kit/result.ts';
import type { ParentFacts } from './disk.ts';
import { FORMATS } from './formats.ts';
import { namesOf } from './hints.ts';
import { type Candidate, findParent, parentNames } from './parent.ts';

const parent: ParentFacts = { names: ['base.vhd'], ids: ['vhd:1', 'vhd:2'] };
const image = (name: string, id: string): Candidate => ({ name, image: ok({ sizeBytes: 512, id, idStays: true }) });

test.each<{ what: string; child: string; says?: string; there: readonly string[]; names: readonly string[] }>([
  { what: 'the name that it says', child: 'x.avhd', there: ['base.vhd', 'lab.vhd'], names: ['base.vhd'] },
  {
    what: 'that name in another form of Unicode',
    child: 'x.avhd',
    says: 'Bu\u0308ro.vhd',
    there: ['b\u00fcro.vhd'],
    names: ['b\u00fcro.vhd'],
  },
  {
    what: 'that name in other case',
    child: 'x.avhd',
    there: ['BASE.VHD', 'Base.vhd'],
    names: ['BASE.VHD', 'Base.vhd'],
  },
  {
    what: 'that name as it is, before other case',
    child: 'x.avhd',
    there: ['BASE.VHD', 'base.vhd'],
    names: ['base.vhd', 'BASE.VHD'],
  },
  {
    what: 'names of the farm first, the nearest before all',
    child: 'lab.3.avhd',
    there: ['base.vhd', 'lab.vhd', 'lab.1.avhd', 'lab.2.avhd', 'lab.2.vhd', 'lab.4.avhd'],
    names: ['lab.2.avhd', 'lab.2.vhd', 'lab.1.avhd', 'lab.vhd', 'base.vhd'],
  },
  { what: 'a base with dots in its name', child: 'win.10.1.avhd', there: ['win.10.vhd'], names: ['win.10.vhd'] },
  { what: 'a merged base far below', child: 'lab.900.avhd', there: ['lab.880.vhd'], names: ['lab.880.vhd'] },
  { what: 'the base of a version of any number', child: 'lab.999999999.avhd', there: ['lab.vhd'], names: ['lab.vhd'] },
  { what: 'nothing', child: 'lab.1.avhd', there: ['lab.1.avhd', 'other.vhd'], names: [] },
])('a parent may have $what', ({ child, says = 'base.vhd', there, names }) => {
  expect(parentNames(child, { ...parent, names: [says] }, new Set(there), FORMATS)).toEqual(names);
});

const damaged: Candidate = { name: 'base.vhd', image: fail('ImageInvalid', 'it is none') };
test.each<{ what: string; candidates: readonly Candidate[]; is: object }>([
  {
    what: 'the first that has its identifier',
    candidates: [image('a', 'vhd:3'), image('b', 'vhd:2')],
    is: { kind: 'found', name: 'b' },
  },
  {
    what: 'the one that it names, before others with its identifier',
    candidates: [image('lab.2.vhd', 'vhd:1'), image('base.vhd', 'vhd:1')],
    is: { kind: 'found', name: 'base.vhd' },
  },
  {
    what: 'not one of two with its identifier, of which it names none',
    candidates: [image('lab.2.vhd', 'vhd:1'), image('lab.vhd', 'vhd:1')],
    is: { kind: 'wrong', message: expect.stringContaining('lab.2.vhd and lab.vhd have') },
  },
  { what: 'lacking', candidates: [], is: { kind: 'lacks', name: 'base.vhd' } },
  {
    what: 'lacking, whatever others there are',
    candidates: [image('lab.2.avhd', 'vhd:3')],
    is: { kind: 'lacks', name: 'base.vhd' },
  },
  { what: 'one that is none, which will say why', candidates: [damaged], is: { kind: 'found', name: 'base.vhd' } },
  {
    what: 'wrong where its name has another identifier',
    candidates: [image('Base.vhd', 'vhd:3')],
    is: {
      kind: 'wrong',
      message: expect.stringMatching(/lab\.1\.avhd is .*vhd:1 or vhd:2, and Base\.vhd beside it has vhd:3/),
    },
  },
])('a parent is $what', ({ candidates, is }) => {
  expect(findParent('/srv/lab.1.avhd', parent, candidates)).toEqual(is);
});

test('one without any name is asked for by its identifier', () => {
  expect(findParent('lab', { names: [], ids: ['vhd:1'] }, [])).toMatchObject({
    name: expect.stringContaining('vhd:1'),
  });
});

test.each<{ hints: Parameters<typeof namesOf>[0]; names: readonly string[] }>([
  { hints: [{ path: 'C:\\a\\b.vhd' }], names: ['b.vhd'] },
  { hints: [{ path: '\\\\server\\share\\b.vhd\0rest' }], names: ['b.vhd'] },
  { hints: [{ path: '/srv/b.vhd' }, { path: 'b.vhd' }], names: ['b.vhd'] },
  { hints: [{ path: '..', relative: true }, { path: 'b.vhd' }], names: [] },
  { hints: [{ path: 'a\\..\\..\\c.vhd', relative: true }, { path: 'b.vhd' }], names: ['c.vhd'] },
  { hints: [{ path: 'a\\..\\c.vhd', relative: true }, { path: 'b.vhd' }], names: ['c.vhd', 'b.vhd'] },
  { hints: [{ path: '' }, { path: '.\\' }], names: [] },
  { hints: [{ path: '\x1b[2J.vhd' }, { path: 'a\n.vhd' }, { path: 'a\x9b.vhd' }, { path: 'b.vhd' }], names: ['b.vhd'] },
  { hints: [{ path: `${'\u00fc'.repeat(128)}` }, { path: 'x'.repeat(255) }], names: ['x'.repeat(255)] },
])('$hints', ({ hints, names }) => {
  expect(namesOf(hints)).toEqual(names);
});
