import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type CopyFacts, rightContent, verdictOnCopy } from './copies.ts';
import { manifestDigest } from './files.ts';
import type { VersionFile } from './model.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const files = (fill: string, ...names: string[]): readonly VersionFile[] =>
  names.map((name) => ({ name, sizeBytes: 512, sha256: fill.repeat(64) }));
const present = {
  state: 'Present',
  progressPercent: 100,
  manifest: A,
  message: '',
  files: [...files('1', 'lab.raw'), ...files('2', 'lab.vmlinuz')],
} as const;
const server = { server: 'node-a', version: 3, folder: '/srv/vdisks', reachable: true } as const;
const ORELSE = `or, if it holds what is right, set sha256 of version 3 in spec.versions to ${A}`;

describe('a copy is', () => {
  test.each<{ is: string; given: Partial<CopyFacts>; says?: string }>([
    { is: 'UpToDate', given: { right: A } },
    {
      is: 'Copying',
      given: {},
      says: 'every server has computed its digest of files that nobody writes any more: it waits for node-b',
    },
    {
      is: 'OutOfDate',
      given: { right: B },
      says:
        'server node-a: lab.raw, lab.vmlinuz in /srv/vdisks are not the files of version 3, and no server that answers has those: ' +
        `put each there as NAME.partial, then rename it; ${ORELSE}. Right is the manifest ${B}, as ` +
        '`cd /srv/vdisks && sha256sum lab.raw lab.vmlinuz | LC_ALL=C sort -k 2 | sha256sum` gives it',
    },
    {
      is: 'OutOfDate',
      given: {
        right: B,
        example: { server: 'node-b', files: [...files('3', 'lab.raw'), ...files('2', 'lab.vmlinuz')] },
      },
      says:
        'server node-a: not what server node-b has of version 3: lab.raw in /srv/vdisks: ' +
        `copy lab.raw from there, each as NAME.partial, then rename it; ${ORELSE}. ` +
        `SHA-256 here: lab.raw ${'1'.repeat(64)}, right is ${'3'.repeat(64)}`,
    },
    {
      is: 'OutOfDate',
      given: {
        right: B,
        example: { server: 'node-b', files: [...files('1', 'lab.vhdx'), ...files('2', 'lab.vmlinuz')] },
      },
      says: 'not what server node-b has of version 3: lab.vhdx, lab.raw in /srv/vdisks: copy lab.vhdx from there, each as NAME.partial, then rename it; lab.raw is no file of it',
    },
    {
      is: 'Conflict',
      given: { conflict: true },
      says:
        `server node-a: lab.raw, lab.vmlinuz in /srv/vdisks have the manifest ${A}, other servers hold other files of version 3, and nothing says which are right: ` +
        '`bootfarm vdisk accept` those of a server, or set sha256 of version 3 in spec.versions to the manifest of those that are',
    },
    { is: 'ServerUnreachable', given: { reachable: false, right: A }, says: 'node-a' },
    {
      is: 'Missing',
      given: { report: { ...present, state: 'Missing', message: 'lab.raw is not in /srv' } },
      says: 'lab.raw',
    },
    {
      is: 'PropertiesMissing',
      given: {
        right: A,
        report: { ...present, properties: null },
        properties: { server: 'node-b', name: 'lab.3.pvp', sha256: B },
      },
      says: 'lab.3.pvp is not in /srv/vdisks: copy lab.3.pvp from server node-b',
    },
    {
      is: 'OutOfDate',
      given: {
        right: B,
        report: { ...present, properties: null },
        properties: { server: 'node-b', name: 'lab.3.pvp', sha256: B },
      },
    },
    { is: 'Corrupt', given: { report: { ...present, state: 'Faulty', message: 'it was cut' } }, says: 'cut' },
    { is: 'Copying', given: { report: { ...present, state: 'Hashing', progressPercent: 47 } } },
    ...(
      [
        ['Missing', 'Copying'],
        ['Present', 'Copying'],
        ['Faulty', 'Corrupt'],
      ] as const
    ).map(([state, is]) => ({
      is,
      given: { right: B, report: { ...present, state, copying: { progressPercent: 47, message: 'lab.raw comes' } } },
      says: 'lab.raw comes',
    })),
    ...(
      [
        ['Missing', 'Missing'],
        ['Present', 'OutOfDate'],
        ['Faulty', 'Corrupt'],
      ] as const
    ).map(([state, is]) => ({
      is,
      given: {
        right: B,
        report: { ...present, state, copying: { progressPercent: 47, message: 'nobody has it', fails: true } } as const,
      },
      says: 'nobody has it',
    })),
    {
      is: 'Corrupt',
      given: {
        right: B,
        report: { ...present, rotten: ['lab.raw'], copying: { progressPercent: 47, message: 'lab.raw comes' } },
      },
      says: 'the content of lab.raw in /srv/vdisks changed, and size and time did not: its disk may rot; it is repaired: lab.raw comes',
    },
    { is: 'UpToDate', given: { right: A, report: { ...present, rotten: ['lab.raw'] } } },
  ])('$is $says', ({ is, given, says = '' }) => {
    const verdict = verdictOnCopy({
      ...server,
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
    expect(verdictOnCopy({ ...server, report, conflict: false, waitsFor: [] }).progressPercent).toBe(40);
  });
});

test('the line of the message gives the manifest', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-manifest-'));
  const lying = ['lab.raw', 'lab.vmlinuz', 'lab.initrd', 'lab.1.raw', 'Lab_2.raw'].map((name) => {
    writeFileSync(join(folder, name), name);
    return { name, sizeBytes: name.length, sha256: createHash('sha256').update(name).digest('hex') };
  });
  const report = { ...present, files: lying };
  const { message } = verdictOnCopy({ ...server, folder, report, right: B, conflict: false, waitsFor: [] });
  const line = /`(.*)`/.exec(message)?.[1] ?? 'false';
  expect(execFileSync('sh', ['-ec', line], { cwd: '/' }).toString()).toBe(`${manifestDigest(lying)}  -\n`);
  rmSync(folder, { recursive: true });
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
