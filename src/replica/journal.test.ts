import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aSession } from '../../test/builders/rows.ts';
import { collapse } from './collapse.ts';
import { decodeJournal, encodeEntry, type Journal, type JournalEntry, openJournal } from './journal.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-journal-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function opened(path: string): Promise<Journal> {
  const journal = await openJournal(path);
  if (!journal.ok) throw new Error(journal.error.message);
  return journal.value;
}

const entry = (id: string): JournalEntry => ({ id, at: 1, kind: 'SessionEnded', device: `é ${id}`, epoch: 7 });

describe('the file', () => {
  test('gives back in order what was appended, and forgets what was applied', async () => {
    const path = join(folder, 'a', 'journal');
    const first = await opened(path);
    await Promise.all([
      first.append([{ kind: 'SessionStarted', session: aSession() }]),
      first.append([{ kind: 'SessionEnded', device: 'pc0001', epoch: 5 }]),
      first.append([{ kind: 'SessionEnded', device: 'pc0002', epoch: 6 }]),
    ]);
    await first.close();
    const second = await opened(path);
    expect(second.pending).toMatchObject([{ session: aSession() }, { device: 'pc0001' }, { device: 'pc0002' }]);
    expect(new Set(second.pending.map(({ id }) => id)).size).toBe(3);
    await second.forget(second.pending.slice(0, 2));
    await second.append([{ kind: 'SessionEnded', device: 'pc0003', epoch: 7 }]);
    await second.close();
    expect((await opened(path)).pending).toMatchObject([{ device: 'pc0002' }, { device: 'pc0003' }]);
  });

  test('a torn tail is dropped, counted, and does not spoil the next entry', async () => {
    const path = join(folder, 'torn');
    writeFileSync(path, encodeEntry(entry('1')) + encodeEntry(entry('2')).slice(0, 30));
    const journal = await opened(path);
    expect([journal.pending, journal.dropped]).toEqual([[entry('1')], 1]);
    await journal.append([{ kind: 'SessionEnded', device: 'pc0003', epoch: 7 }]);
    await journal.close();
    expect(decodeJournal(readFileSync(path, 'utf8'))).toMatchObject({
      entries: [{ id: '1' }, { device: 'pc0003' }],
      dropped: 0,
    });
  });

  test('a place that cannot be written is named', async () => {
    writeFileSync(join(folder, 'file'), '');
    expect(await openJournal(join(folder, 'file', 'journal'))).toMatchObject({
      error: { code: 'JournalUnusable', message: /journal .*file/ },
    });
  });
});

test('cut anywhere, or with any byte altered, all other entries stay and nothing is invented', () => {
  const text = ['1', '2', '3'].map((id) => encodeEntry(entry(id)));
  const bytes = Buffer.from(text.join(''));
  const known = new Set(['1', '2', '3'].map((id) => JSON.stringify(entry(id))));
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const cut = decodeJournal(bytes.subarray(0, at).toString('utf8')).entries;
      const bad = Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ flip : byte)));
      const altered = decodeJournal(bad.toString('utf8')).entries;
      for (const found of [...cut, ...altered]) expect(known).toContain(JSON.stringify(found));
      // a newline lost between two lines takes both; otherwise one is lost at most
      expect(altered.length).toBeGreaterThanOrEqual(1);
      expect(cut.length).toBe(
        text.filter((_, index) => Buffer.byteLength(text.slice(0, index + 1).join('')) - 1 <= at).length,
      );
    }),
    { seed: 3 },
  );
});

describe('collapse', () => {
  const started = (epoch: number) => ({ device: 'a', epoch, session: aSession({ device: 'a', epoch }), ended: false });
  const ended = (epoch: number) => ({ device: 'a', epoch, ended: true });
  test.each([
    ['the newest epoch wins', [started(1), started(3), started(2)], [started(3)]],
    ['an end of the same epoch keeps its session', [started(1), ended(1)], [{ ...started(1), ended: true }]],
    ['an end cannot be undone by its own session', [ended(1), started(1)], [{ ...started(1), ended: true }]],
    ['an end of an older session is nothing', [started(2), ended(1)], [started(2)]],
    ['an end that is newer than all is an end', [started(1), ended(2)], [ended(2)]],
    [
      'other devices are others',
      [started(1), { ...started(1), device: 'b' }],
      [started(1), { ...started(1), device: 'b' }],
    ],
  ])('%s', (_, changes, result) => {
    expect(collapse(changes)).toEqual(result);
  });

  test('in any order it comes to the same', () => {
    const change = fc
      .record({ epoch: fc.nat(3), ended: fc.boolean() })
      .map(({ epoch, ended: end }) => (end ? ended(epoch) : started(epoch)));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        expect(collapse([...changes].reverse())).toEqual(collapse(changes));
      }),
      { seed: 4 },
    );
  });
});
