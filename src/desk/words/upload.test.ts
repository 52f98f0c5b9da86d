import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, expect, test } from '@jest/globals';
import { fakeDesk } from '../../../test/fakes/desk.ts';
import { fakeTerminal } from '../../../test/fakes/terminal.ts';
import type { RunIn } from '../transfer.ts';
import { upload } from './upload.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-upload-'));
const file = join(folder, 'lab.raw');
writeFileSync(file, 'all of a disk');
afterAll(() => rmSync(folder, { recursive: true }));

/** A server that has so many bytes of it at each question, and ends with these statuses. */
async function run(offsets: readonly (number | 'refused')[], statuses: readonly number[], from = file) {
  const came: string[] = [];
  const left = { offsets: [...offsets], statuses: [...statuses] };
  const server: RunIn = async (words, { input, out } = {}) => {
    if (words.includes('--tell-offset')) {
      const offset = left.offsets.shift();
      if (offset === 'refused') return 1;
      await out?.(Buffer.from(`${offset}\n`));
      return 0;
    }
    came.push(await text(Readable.from(input ?? [])));
    return left.statuses.shift() ?? 0;
  };
  const { terminal } = fakeTerminal();
  const ended = await upload(fakeDesk({ terminal }), server, from, ['upload', '/srv/lab.raw'], 'text').then(
    () => 'done',
    (thrown: Error) => thrown.message,
  );
  return { ended, came };
}

test('it goes on where the container died', async () => {
  expect(await run([0, 4], [137, 0])).toEqual({ ended: 'done', came: ['all of a disk', 'of a disk'] });
});

test('where the server does not take it, it is not read at all', async () => {
  expect(await run(['refused'], [], join(folder, 'none'))).toEqual({ ended: 'it ended', came: [] });
});

test('a fault of the server ends it', async () => {
  expect(await run([0], [1])).toEqual({ ended: 'it ended', came: ['all of a disk'] });
});
