import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aSession } from '../../test/builders/rows.ts';
import { type DiskFault, FakeJournalFile } from '../../test/fakes/journalfile.ts';
import { cpuMs } from '../../test/setup/time.ts';
import type { SessionChange } from '../database/servers.ts';
import { collapse, later } from './collapse.ts';
import { type Journal, openJournal, openJournalOn } from './journal.ts';
import { decodeJournal, encodeLine, type JournalEntry } from './journalformat.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-journal-'));
const journals: Journal[] = [];
afterAll(async () => {
  for (const journal of journals) await journal.close();
  rmSync(folder, { recursive: true });
});

async function opened(path: string, maxBytes?: number): Promise<Journal> {
  const journal = await openJournal(path, maxBytes);
  journals.push(journal);
  return journal;
}

const end = (device: string, epoch = 7): SessionChange => ({ device, epoch, ended: true });
const start = (device: string, epoch = 7): SessionChange => ({
  ...end(device, epoch),
  session: aSession({ device, epoch }),
  ended: false,
});
const entry = (number: number, change = end(`é ${number}`)): JournalEntry => ({
  kind: 'Session',
  number,
  id: `00000000-0000-4000-8000-00000000000${number}`,
  at: 1,
  change,
});
const changes = (journal: Journal): readonly SessionChange[] =>
  journal.first(Number.POSITIVE_INFINITY).map(({ change }) => change);
const held = (bytes: Buffer): readonly SessionChange[] =>
  decodeJournal(bytes)
    .pending.first(Number.POSITIVE_INFINITY)
    .map(({ change }) => change);

/** Forgets the first so many. */
async function forget(journal: Journal, count: number): Promise<boolean> {
  const last = journal.first(count).at(-1);
  return last === undefined || (await journal.forget(last)).ok;
}

describe('the file', () => {
  test('says whose each entry is; what another farm knew of a device does not stand above this one', async () => {
    const path = join(folder, 'farms', 'journal');
    const first = await opened(path);
    await Promise.all([first.append([start('pc0001', 9)], 'a'), first.append([start('pc0002', 9)], 'a')]);
    await Promise.all([first.append([end('pc0001', 3)], 'b'), first.append([end('pc0002', 3)], 'a')]);
    const entries = (await opened(path)).first(9);
    expect(entries.map(({ farm, change }) => [farm, change])).toEqual([
      ['a', start('pc0002', 9)],
      ['b', end('pc0001', 3)],
    ]);
  });

  test('gives back in order what was appended, and forgets what was applied', async () => {
    const path = join(folder, 'a', 'journal');
    const first = await opened(path);
    await Promise.all([
      first.append([start('pc0001')]),
      first.append([end('pc0002', 5)]),
      first.append([end('pc0003')]),
    ]);
    await first.close();
    const second = await opened(path);
    expect(changes(second)).toEqual([start('pc0001'), end('pc0002', 5), end('pc0003')]);
    expect(new Set(second.first(3).map(({ id }) => id)).size).toBe(3);
    expect(await forget(second, 2)).toBe(true);
    await second.append([end('pc0004')]);
    await second.close();
    expect(changes(await opened(path))).toEqual([end('pc0003'), end('pc0004')]);
  });

  test('holds one entry a device, its latest, and stays small', async () => {
    const file = new FakeJournalFile();
    const journal = await openJournalOn(file);
    for (let epoch = 1; epoch <= 1_000; epoch++) {
      await journal.append([start('pc0001', epoch), start('pc0002', epoch)]);
      await journal.append([end('pc0001', epoch)]);
      expect(file.durable.length).toBeLessThan(2 * (64 << 10));
    }
    const last = { ...start('pc0001', 1_000), ended: true };
    expect(changes(journal)).toEqual([start('pc0002', 1_000), last]);
    await journal.append([end('pc0001', 999)]);
    expect(changes(journal)).toEqual([start('pc0002', 1_000), last]);
    expect(held(file.durable)).toEqual([start('pc0002', 1_000), last]);
  });

  test('an entry that takes the place of one that is being replayed is not forgotten with it', async () => {
    const journal = await opened(join(folder, 'replayed'));
    await journal.append([start('pc0001')]);
    const [replayed] = journal.first(1);
    await journal.append([end('pc0001')]);
    await journal.forget(replayed as JournalEntry);
    expect(changes(journal)).toEqual([{ ...start('pc0001'), ended: true }]);
  });

  test('a torn tail is dropped, counted, and does not spoil the next entry', async () => {
    const path = join(folder, 'torn');
    writeFileSync(path, Buffer.concat([encodeLine(entry(1)), encodeLine(entry(2)).subarray(0, 30)]));
    const journal = await opened(path);
    expect([journal.first(9), journal.dropped]).toEqual([[entry(1)], 1]);
    await journal.append([end('pc0003')]);
    await journal.close();
    expect(decodeJournal(readFileSync(path)).dropped).toBe(0);
    expect(held(readFileSync(path))).toEqual([entry(1).change, end('pc0003')]);
  });

  test('a place that cannot be written is named, and tried again', async () => {
    const path = join(folder, 'file', 'journal');
    writeFileSync(join(folder, 'file'), '');
    const journal = await opened(path);
    expect(journal.fault).toMatchObject({ code: 'JournalUnusable', message: expect.stringMatching(/journal .*file/) });
    expect(await journal.append([end('pc0001')])).toMatchObject({ ok: false });
    rmSync(join(folder, 'file'));
    expect(await journal.append([end('pc0001')])).toMatchObject({ ok: true });
    expect([journal.fault, changes(journal)]).toEqual([undefined, [end('pc0001')]]);
  });

  test('at its bound it says so, takes what replaces an entry, and goes on when there is room', async () => {
    const journal = await opened(join(folder, 'full'), 2_000);
    let kept = 0;
    while ((await journal.append([start(`pc${kept}`)])).ok) kept++;
    expect(kept).toBeGreaterThan(3);
    expect(journal.fault).toMatchObject({ code: 'JournalFull', message: expect.stringContaining('2000 bytes') });
    expect(journal.size).toBe(kept);
    for (let epoch = 8; epoch < 50; epoch++) expect((await journal.append([end('pc0', epoch)])).ok).toBe(true);
    expect(await forget(journal, 3)).toBe(true);
    expect((await journal.append([start('pc99')])).ok).toBe(true);
    expect(journal.fault).toBeUndefined();
  });

  test('ten times the entries are replayed in ten times the time', async () => {
    const journal = await opened(join(folder, 'many'));
    const forgetAll = async (count: number): Promise<number> => {
      await journal.append(Array.from({ length: count }, (_, n) => end(`pc${n}`)));
      const ms = await cpuMs(async () => {
        while (journal.size > 0) await forget(journal, 500);
      });
      return ms / count;
    };
    await forgetAll(2_000);
    const [few, many] = [await forgetAll(5_000), await forgetAll(50_000)];
    expect(many).toBeLessThan(4 * few + 0.01);
  });
});

test('a disk of a few KiB that is full: what was acknowledged is there, and it starts, empties and goes on', async () => {
  const small = join(folder, 'small');
  mkdirSync(small);
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', small]).status).toBe(0);
  try {
    const journal = await opened(join(small, 'journal'));
    const acknowledged: SessionChange[] = [];
    for (let n = 0; n < 150; n++) {
      const change = end(`pc${n}${'x'.repeat(n % 3 === 0 ? 300 : 10)}`);
      if ((await journal.append([change])).ok) acknowledged.push(change);
    }
    expect(acknowledged.length).toBeLessThan(140);
    expect(acknowledged.at(-1)?.device).not.toContain('xxxxxxxxxxxx');
    expect(journal.fault).toMatchObject({ code: 'JournalUnusable', message: expect.stringContaining('ENOSPC') });
    await journal.close();
    const again = await opened(join(small, 'journal'));
    expect(changes(again)).toEqual(acknowledged);
    while (again.size > 0) await forget(again, 10);
    expect(readFileSync(join(small, 'journal'))).toHaveLength(0);
    expect((await again.append([end('later')])).ok).toBe(true);
    await again.close();
    expect(changes(await opened(join(small, 'journal')))).toEqual([end('later')]);
  } finally {
    spawnSync('umount', ['-l', small]);
  }
});

describe('whatever the disk does', () => {
  const device = fc.constantFrom('a', 'b', 'c');
  const change = fc
    .tuple(device, fc.nat(4), fc.boolean())
    .map(([name, epoch, ended]) => (ended ? end : start)(name, epoch));
  const fault: fc.Arbitrary<DiskFault> = fc.record({
    call: fc.constantFrom('read', 'append', 'truncate', 'sync', 'prepare', 'exchange'),
    code: fc.constantFrom('ENOSPC', 'EIO'),
    taken: fc.nat(200),
  });
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ append: fc.array(change, { minLength: 1, maxLength: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ forget: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ faults: fc.array(fault, { minLength: 1, maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.constant({ reopen: true } as const) },
  );

  test('what was acknowledged is there after a crash at any byte, and nothing is invented', async () => {
    let crashes = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const acknowledged = new Map<string, SessionChange>();
        const tried = new Map([['z', 7]]);
        const wrong: string[] = [];
        const file = new FakeJournalFile((at) => {
          for (const image of at.afterCrash()) {
            crashes++;
            const found = new Map(held(image).map((one) => [one.device, one]));
            for (const [name, kept] of acknowledged) {
              const there = found.get(name);
              if (
                !there ||
                later(kept, there).epoch !== there.epoch ||
                (kept.ended && kept.epoch === there.epoch && !there.ended)
              )
                wrong.push(`${JSON.stringify(kept)} is gone: ${image}`);
            }
            for (const { device: name, epoch } of found.values())
              if (epoch > (tried.get(name) ?? -1)) wrong.push(`${name} ${epoch} was never appended: ${image}`);
          }
        });
        let journal = await openJournalOn(file);
        for (const it of steps) {
          if ('faults' in it) file.faults.push(...it.faults);
          else if ('append' in it) {
            for (const one of it.append) tried.set(one.device, Math.max(one.epoch, tried.get(one.device) ?? 0));
            if ((await journal.append(it.append)).ok)
              for (const one of it.append) acknowledged.set(one.device, later(acknowledged.get(one.device), one));
          } else if ('forget' in it) {
            const gone = journal.first(it.forget + 1);
            for (const one of gone) acknowledged.delete(one.change.device);
            await forget(journal, it.forget + 1);
          } else {
            file.faults = file.faults.filter(({ call }) => call !== 'read');
            journal = await openJournalOn(file);
          }
        }
        file.faults = [];
        const last = await openJournalOn(file);
        expect((await last.append([end('z')])).ok).toBe(true);
        const there = new Map(held(file.durable).map((one) => [one.device, one.epoch]));
        for (const [name, { epoch }] of acknowledged) expect(there.get(name)).toBeGreaterThanOrEqual(epoch);
        expect([there.has('z'), wrong]).toEqual([true, []]);
      }),
      { seed: 14, numRuns: 100 },
    );
    expect(crashes).toBeGreaterThan(3_000);
  });
});

test('cut anywhere, or with any byte altered, all other entries stay and nothing is invented', () => {
  const lines = [1, 2, 3].map((number) => encodeLine(entry(number)));
  const bytes = Buffer.concat(lines);
  const known = new Set([1, 2, 3].map((number) => JSON.stringify(entry(number))));
  const read = (text: Buffer) => decodeJournal(text).pending.first(9);
  for (let at = 0; at < bytes.length; at++) {
    const cut = read(bytes.subarray(0, at));
    expect(cut.length).toBe(lines.filter((_, index) => Buffer.concat(lines.slice(0, index + 1)).length <= at).length);
    for (const flip of [1, 0x0a, 0x80, 0xff]) {
      const altered = read(Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ flip : byte))));
      for (const found of [...cut, ...altered]) expect(known).toContain(JSON.stringify(found));
      // a newline lost between two lines takes both; otherwise one is lost at most
      expect(altered.length).toBeGreaterThanOrEqual(1);
    }
  }
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
