import { expect, test } from '@jest/globals';
import { aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { type AcceptAsked, type CopyHeld, judgeAccept } from './accept.ts';
import type { Version } from './model.ts';

const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
const files = [{ name: 'lab.3.avhdx', sizeBytes: 512, sha256: C }];
const held = (server: string, more: Partial<CopyHeld> = {}): CopyHeld => ({
  ...{ server, version: 3, state: 'Conflict', message: '' },
  ...more,
});
const onA = held('node-a', { manifest: A, files });
const onB = held('node-b', { manifest: B, files });

test.each<{
  what: string;
  asked?: Partial<AcceptAsked>;
  version?: Partial<Version>;
  copies?: readonly CopyHeld[];
  is?: 'Accepted' | 'Unchanged';
  refused?: string;
  says?: readonly (string | RegExp)[];
}>([
  { what: 'in conflict', is: 'Accepted' },
  { what: 'right already', version: { content: { manifest: A, files } }, is: 'Unchanged' },
  { what: 'right by the spec already', version: { sha256: A }, is: 'Unchanged' },
  { what: 'of no VDisk', asked: { vdisk: 'win' }, refused: 'VDiskUnknown', says: ['no vDisk win: it has lab'] },
  { what: 'of no version', asked: { number: 7 }, refused: 'VersionUnknown', says: ['no version 7: it has 3'] },
  {
    what: 'of a server that should have none',
    asked: { server: 'node-x' },
    ...{ refused: 'ServerUnknown', says: ['on node-x: name one of node-a, node-b'] },
  },
  {
    what: 'that the spec states otherwise',
    version: { sha256: B },
    refused: 'Stated',
    says: [`put \`sha256: ${A}\` in place of \`sha256: ${B}\``, 'spec.versions of VDisk lab', 'number 3'],
  },
  {
    what: 'of which something else is right',
    version: { content: { manifest: B, files } },
    refused: 'KnownAlready',
    says: [`right is the manifest ${B}, which node-b has.`, 'where node-a holds', 'new-version'],
  },
  {
    what: 'of which something else is right that nobody shows',
    version: { content: { manifest: C, files } },
    ...{ refused: 'KnownAlready', says: ['no server that answers has'] },
  },
  ...(['Missing', 'Corrupt', 'Copying', 'ServerUnreachable'] as const).map((state) => ({
    what: `that is ${state}`,
    copies: [held('node-a', { state, message: 'a disk is ill' }), onB],
    ...{ refused: 'NotWhole', says: [`${state}: a disk is ill`] },
  })),
  {
    what: 'that all agree on',
    copies: [held('node-a', { state: 'Copying', manifest: A, files, message: 'it waits for node-b' }), onB],
    ...{ refused: 'NotInConflict', says: ['not in conflict: on node-a it is Copying: it waits for node-b'] },
  },
  {
    what: 'in conflict, of files that nobody recorded',
    copies: [held('node-a', { manifest: A })],
    refused: 'NotInConflict',
  },
  {
    what: 'in conflict as another version',
    copies: [{ ...onA, version: 4 }, onB],
    refused: 'ServerUnknown',
    says: ['node-b'],
  },
])('a copy $what: $is $refused', ({ asked, version, copies = [onA, onB], is, refused, says = [] }) => {
  const farm = aSnapshot({
    vdisks: [aVDisk({ name: 'lab' })],
    versions: [{ vdisk: 'lab', number: 3, access: 'Production', ...version }, aVersion({ vdisk: 'win', number: 7 })],
  });
  const judged = judgeAccept(farm, copies, { vdisk: 'lab', number: 3, server: 'node-a', ...asked });
  if (is) expect(judged).toEqual({ ok: true, value: is === 'Accepted' ? { manifest: A, files } : is });
  else {
    expect(judged).toMatchObject({ ok: false, error: { code: refused } });
    for (const words of says)
      expect(judged).toMatchObject({ error: { message: expect.stringContaining(words as string) } });
  }
});
