import { describe, expect, test } from '@jest/globals';
import { type CopyFacts, rightContent, verdictOnCopy } from './copies.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const present = { state: 'Present', progressPercent: 100, manifest: A, message: '' } as const;

describe('a copy is', () => {
  test.each<{ is: string; given: Partial<CopyFacts>; says?: string }>([
    { is: 'UpToDate', given: { right: A } },
    { is: 'Copying', given: {}, says: 'every server has computed its digest: it waits for node-b' },
    { is: 'OutOfDate', given: { right: B }, says: 'right is bbbbbbbbbbbb' },
    { is: 'Conflict', given: { conflict: true }, says: 'set sha256' },
    { is: 'ServerUnreachable', given: { reachable: false, right: A }, says: 'node-a' },
    {
      is: 'Missing',
      given: { report: { ...present, state: 'Missing', message: 'lab.raw is not in /srv' } },
      says: 'lab.raw',
    },
    { is: 'Corrupt', given: { report: { ...present, state: 'Faulty', message: 'it was cut' } }, says: 'cut' },
    { is: 'Copying', given: { report: { ...present, state: 'Hashing', progressPercent: 47 } } },
  ])('$is $says', ({ is, given, says = '' }) => {
    const verdict = verdictOnCopy({
      server: 'node-a',
      reachable: true,
      report: present,
      conflict: false,
      waitsFor: ['node-b'],
      ...given,
    });
    expect(verdict.state).toBe(is);
    expect(verdict.message).toContain(says);
  });

  test('Copying in steps of 10', () => {
    const report = { ...present, state: 'Hashing', progressPercent: 47 } as const;
    expect(verdictOnCopy({ server: 'a', reachable: true, report, conflict: false, waitsFor: [] }).progressPercent).toBe(
      40,
    );
  });
});

test.each([
  { what: 'the spec before all', spec: A, recorded: B, present: [B], right: A, conflict: false },
  { what: 'the record before reports', spec: undefined, recorded: B, present: [A], right: B, conflict: false },
  { what: 'what all agree on', spec: undefined, recorded: undefined, present: [A, A], right: A, conflict: false },
  {
    what: 'nobody, when they differ',
    spec: undefined,
    recorded: undefined,
    present: [A, B],
    right: undefined,
    conflict: true,
  },
  { what: 'nobody yet', spec: undefined, recorded: undefined, present: [], right: undefined, conflict: false },
])('right is $what', ({ spec, recorded, present: held, right, conflict }) => {
  expect(rightContent(spec, recorded, held)).toEqual({ conflict, ...(right === undefined ? {} : { right }) });
});
