import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { fakeTerminal } from '../../test/fakes/terminal.ts';
import { vdiskCommand } from './vdisk.ts';

test.each([
  { words: ['1', '--last-copy'], says: 'neither the farm database nor its replica says who uses it (none is named' },
  { words: ['1', '--database-uri-file', '/nowhere'], says: '--database-uri-file /nowhere cannot be read' },
  { words: ['x'], says: 'version x: it must be a number' },
  { words: ['7'], says: 'there is no version 7 of lab' },
])('delete-version $words is refused where no farm can be asked, and removes nothing', async ({ words, says }) => {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-delete-'));
  writeFileSync(join(folder, 'lab.1.raw'), Buffer.alloc(512, 1));
  const { said, terminal } = fakeTerminal();
  await vdiskCommand(terminal).parseAsync(['delete-version', join(folder, 'lab'), ...words], { from: 'user' });
  expect(said).toMatchObject({ failed: true, out: '', err: expect.stringContaining(says) });
  expect(readdirSync(folder)).toEqual(['lab.1.raw']);
  rmSync(folder, { recursive: true });
});
