import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { rollbackCommand } from '../../src/commands/rollback.ts';
import { connect, type Database } from '../../src/database/connection.ts';
import { migrate } from '../../src/database/migrate.ts';
import { project, settleVersion, setVersionContent, snapshot } from '../../src/database/project.ts';
import type { Fault, Result } from '../../src/kit/result.ts';
import { aSnapshot, aVDisk, aVersion } from '../builders/farm.ts';
import { loadDatabase, projectionOf } from '../fakes/database.ts';
import { fakeTerminal, type Said } from '../fakes/terminal.ts';
import { type PostgresServer, startPostgres } from '../setup/services.ts';

const NOW = Date.parse('2026-11-20T12:00:00Z');
const at = (time: string): number => Date.parse(time) / 1_000;
const farm = aSnapshot({
  vdisks: [aVDisk(), aVDisk({ name: 'kiosk' })],
  versions: [
    aVersion({ settledAt: at('2026-11-01T00:00:00Z') }),
    aVersion({ number: 1, settledAt: at('2026-11-10T00:00:00Z') }),
    aVersion({ number: 2, settledAt: at('2026-11-19T00:00:00Z') }),
    aVersion({ vdisk: 'kiosk', settledAt: at('2026-11-01T00:00:00Z') }),
  ],
});

let postgres: PostgresServer;
let database: Database;
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-rollback-'));
const uriFile = join(folder, 'uri');

beforeAll(async () => {
  postgres = await startPostgres();
  await migrate(postgres.uri);
  database = must(connect({ uri: postgres.uri }));
  await loadDatabase(database, { snapshot: farm, devices: [], sessions: [] });
  writeFileSync(uriFile, postgres.uri);
});
afterAll(async () => {
  await database.close();
  await postgres.close();
  rmSync(folder, { recursive: true });
});

function must<T>(result: Result<T, Fault>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

async function rollback(...words: string[]): Promise<Said> {
  const { said, terminal } = fakeTerminal();
  const command = rollbackCommand(terminal, () => NOW).exitOverride();
  await command.parseAsync(['--database-uri-file', uriFile, ...words], { from: 'user' }).catch(() => {
    said.failed = true;
  });
  return said;
}

const overrides = async () => must(await snapshot(database))?.overrides;

test('all go back for a while, the same again changes nothing, and it is cleared', async () => {
  const words = ['--all', '--for', '4h'];
  const lab = (would: string) => `lab: machines ${would} version 1 (its VDisk says 2), until 2026-11-20T16:00:00Z\n`;
  const kiosk = /kiosk: stays on version 0: vDisk kiosk has none before version 0: .* are 0; /;
  const dry = await rollback(...words, '--dry-run');
  expect(dry.out).toContain(lab('would boot'));
  expect(dry.out).toMatch(kiosk);
  expect(await overrides()).toEqual([]);
  for (let time = 0; time < 2; time++) expect((await rollback(...words)).out).toContain(lab('boot'));
  expect(await overrides()).toEqual([{ vdisk: 'lab', version: 1, until: at('2026-11-20T16:00:00Z') }]);
  const audit = await database.run((db) => db.selectFrom('audit').select(['action', 'name']).execute());
  expect(must(audit)).toEqual([{ action: 'override', name: 'lab' }]);
  expect((await rollback('--list')).out).toBe('lab: machines boot version 1, until 2026-11-20T16:00:00Z\n');
  expect((await rollback('--clear', '--all')).out).toBe('lab: machines boot what its VDisk says again\n');
  expect((await rollback('--clear', '--all')).out).toBe('nothing was rolled back: unchanged\n');
  expect((await rollback('--list', '-o', 'json')).out).toBe('[]\n');
});

test.each([
  { words: ['--version', '0'], version: 0 },
  { words: ['--as-of', '2026-11-12'], version: 1 },
  { words: ['--as-of', '2026-11-10T02:00:00+02:00'], version: 1 },
])('one goes back by $words', async ({ words, version }) => {
  expect(await rollback('--vdisk', 'lab', ...words)).toMatchObject({ err: '', failed: false });
  expect(await overrides()).toEqual([{ vdisk: 'lab', version }]);
});

test.each([
  [[], 'of which vDisks? Say either --all or --vdisk NAME'],
  [['--all', '--vdisk', 'lab'], 'of which vDisks?'],
  [['--all', '--version', '1'], '--version is one of a vDisk: name it by --vdisk, or use --as-of for all'],
  [['--vdisk', 'lab', '--version', '1', '--as-of', '2026-11-12'], 'say either --version or --as-of'],
  [['--vdisk', 'lab', '--version', 'one'], '--version one: it must be a number from 0 to 999999'],
  [
    ['--vdisk', 'lab', '--version', '7'],
    'vDisk lab has no version 7 to go to: those whose content is known are 0, 1, 2',
  ],
  [['--vdisk', 'lap'], 'the farm has no vDisk lap: it has kiosk, lab'],
  [['--vdisk', 'lap', '--clear'], 'the farm has no vDisk lap: it has kiosk, lab'],
  [['--vdisk', 'kiosk'], 'vDisk kiosk has none before version 0'],
  [['--vdisk', 'lab', '--as-of', 'yesterday'], '--as-of yesterday: write it as 2026-11-20'],
  [['--vdisk', 'lab', '--for', '4'], '--for 4: write it as 4h, 90m or 1h30m, 8760h at most'],
  [['--vdisk', 'lab', '--for', '9999999999h'], '--for 9999999999h: write it as'],
  [['--vdisk', 'lab', '--as-of', '2026-02-30'], '--as-of 2026-02-30: write it as'],
  [['--all', '--list'], 'say either --list, or --clear with what, or where to go back to'],
  [['--all', '--clear', '--for', '4h'], 'say either --list, or --clear'],
  [['--vdisk', 'lab', '--for', '0h'], '--for 0h: write it as'],
])('%j is refused: %s', async (words, says) => {
  const { err, failed } = await rollback(...words);
  expect({ err, failed }).toEqual({ err: expect.stringContaining(`error: ${says}`), failed: true });
});

test('a version settles once, and is unsettled by other content and by a VDisk that names it no more', async () => {
  const settledAt = async () =>
    must(await snapshot(database))?.versions.find(({ vdisk, number }) => vdisk === 'lab' && number === 2)?.settledAt;
  const before = await settledAt();
  must(await settleVersion(database, 'lab', 2, 1));
  expect(await settledAt()).toBe(before);
  const { content } = aVersion();
  if (!content) throw new Error('the builder gives content');
  must(await setVersionContent(database, 'lab', 2, content));
  expect(await settledAt()).toBe(before);
  must(await setVersionContent(database, 'lab', 2, { ...content, manifest: 'f'.repeat(64) }, content.manifest));
  expect(await settledAt()).toBeUndefined();
  must(await settleVersion(database, 'lab', 2, 7));
  expect(await settledAt()).toBe(7);
  must(await settleVersion(database, 'lab', 2, undefined));
  expect(await settledAt()).toBeUndefined();
  must(await settleVersion(database, 'lab', 2, 7));
  const projection = projectionOf(farm);
  must(await project(database, { ...projection, versions: projection.versions.filter(({ number }) => number !== 2) }));
  expect(must(await settleVersion(database, 'lab', 2, 7))).toBe(false);
  must(await project(database, projection));
  expect(await settledAt()).toBeUndefined();
});

test('one that is Production no more is judged anew when it is again', async () => {
  must(await settleVersion(database, 'lab', 2, 7));
  const projection = projectionOf(farm);
  const access = (to: 'Test' | 'Production') => ({
    ...projection,
    versions: projection.versions.map((one) =>
      one.vdisk === 'lab' && one.number === 2 ? { ...one, access: to } : one,
    ),
  });
  must(await project(database, access('Test')));
  must(await project(database, access('Production')));
  const found = must(await snapshot(database))?.versions.find(({ vdisk, number }) => vdisk === 'lab' && number === 2);
  expect(found).not.toHaveProperty('settledAt');
});

test('an override goes with its vDisk', async () => {
  must(await database.run((db) => db.deleteFrom('vdisk').where('name', '=', 'lab').execute()));
  expect(await overrides()).toEqual([]);
});
