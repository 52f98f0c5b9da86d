import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { fakeDesk } from '../../../test/fakes/desk.ts';
import { fakeTerminal } from '../../../test/fakes/terminal.ts';
import { Refusal } from '../../terminal/refusal.ts';
import { fileToMake, streamToFill, type Target } from '../local.ts';
import type { RunIn } from '../transfer.ts';
import { download } from './download.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-download-'));
const file = join(folder, 'lab.vhdx');
const partial = `${file}.partial`;
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => readdirSync(folder).forEach((name) => void rmSync(join(folder, name))));

const IMAGE = Buffer.from('an image of some bytes');
const digestText = (bytes: Buffer): string =>
  `lab.vhdx: ${bytes.length} bytes, SHA-256 ${createHash('sha256').update(bytes).digest('hex')}\n`;

/** How a try goes on: which bytes come, and what ends it. */
interface Try {
  readonly at: number;
  readonly gives?: Buffer;
  readonly says?: string;
  /** 'breaks': the connection. */
  readonly ends: number | 'breaks';
}

const OLD = (at: number): string =>
  `error: /srv/lab.partial.vhdx, of which ${at} bytes are said to be had, is not there any more: take all of it again, without --offset\n`;
const BIG = (at: number): string => `error: lab.vhdx has 22 bytes, and ${at} are said to be had\n`;

/** A server that goes through these tries, behind the question how large it is. What was asked for is compared. */
async function run(tries: readonly Try[], target?: Target, sizeText = BIG, isWatched = false) {
  const { said, terminal } = fakeTerminal();
  const asked: number[] = [];
  let next = -1;
  const server: RunIn = async (words, { out, err } = {}) => {
    const at = Number(words[words.indexOf('--offset') + 1]);
    const step = next < 0 ? { at, says: sizeText(at), ends: 1 } : tries[next];
    next++;
    if (next > 0) asked.push(at);
    if (!step) throw new Error('nobody asked for this');
    const { gives, says = '', ends } = step as Try;
    if (gives) await out?.(gives);
    await err?.(Buffer.from(says));
    if (ends === 'breaks') throw new Refusal('the connection broke off', 5);
    return ends;
  };
  const ended = await download(
    fakeDesk({ terminal: { ...terminal, isWatched } }),
    server,
    ['download', '/srv/lab'],
    target ?? (await fileToMake(file)),
  ).then(
    ({ sizeBytes }) => `${sizeBytes} bytes`,
    (thrown: Error) => thrown.message,
  );
  expect(asked).toEqual(tries.map(({ at }) => at));
  return { ended, err: said.err };
}

const whole: Try = { at: 0, gives: IMAGE, says: digestText(IMAGE), ends: 0 };
const RIGHT = `${IMAGE.length} bytes`;

describe('a file', () => {
  test('is there when it is whole and right, and nothing beside it', async () => {
    expect(await run([whole])).toEqual({ ended: RIGHT, err: '' });
    expect([readdirSync(folder), readFileSync(file)]).toEqual([['lab.vhdx'], IMAGE]);
  });

  test('is gone on with where the connection broke, or its container died', async () => {
    const tries: Try[] = [
      { at: 0, gives: IMAGE.subarray(0, 5), ends: 'breaks' },
      { at: 5, gives: IMAGE.subarray(5, 7), ends: 137 },
      { at: 7, gives: IMAGE.subarray(7), says: digestText(IMAGE), ends: 0 },
    ];
    const { ended, err } = await run(tries);
    expect([ended, readFileSync(file)]).toEqual([RIGHT, IMAGE]);
    expect(err).toBe(
      'the connection broke off: it goes on\nthe container of the server ended meanwhile (status 137): it goes on\n',
    );
  });

  test('is whole where the connection broke behind its digest: nothing more is asked for', async () => {
    expect((await run([{ ...whole, ends: 'breaks' }])).ended).toBe(RIGHT);
  });

  test('is taken anew, once, where the server has no more what came before', async () => {
    const tries: Try[] = [
      { at: 0, gives: IMAGE, ends: 'breaks' },
      { at: IMAGE.length, says: OLD(IMAGE.length), ends: 1 },
      whole,
    ];
    const { ended, err } = await run(tries, undefined, OLD);
    expect([ended, readFileSync(file)]).toEqual([RIGHT, IMAGE]);
    expect(err).toContain('what came before is not of what the server has now: all of it is taken anew\n');
    expect(err).not.toContain('without --offset');
  });

  test('is taken anew where a half of another one lies there', async () => {
    writeFileSync(partial, 'another');
    const { ended } = await run([{ at: 7, gives: IMAGE.subarray(7), says: digestText(IMAGE), ends: 0 }, whole]);
    expect([ended, readFileSync(file)]).toEqual([RIGHT, IMAGE]);
    rmSync(file);
    writeFileSync(partial, 'longer than all that the server has');
    expect((await run([{ at: 35, says: BIG(35), ends: 1 }, whole])).ended).toBe(RIGHT);
  });

  test('is not there where it proves wrong, and neither is a half of it', async () => {
    const { ended } = await run([{ ...whole, says: digestText(Buffer.from('other')) }]);
    expect(ended).toBe(`${file}: what came is not what the server has, and nothing of it is kept: give the same again`);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('leaves nothing where the server refuses it', async () => {
    expect(await run([], undefined, () => 'error: /srv/lab has no version 9: there is 0\n')).toEqual({
      ended: 'it ended',
      err: 'error: /srv/lab has no version 9: there is 0\n',
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('that is there is not touched', async () => {
    writeFileSync(file, 'a backup');
    await expect(fileToMake(file)).rejects.toThrow(
      `${file} is there already, and is not written over: remove it, or name another file`,
    );
    expect([readdirSync(folder), readFileSync(file, 'utf8')]).toEqual([['lab.vhdx'], 'a backup']);
  });

  test('that came there meanwhile is not touched, and what came is kept', async () => {
    const target = await fileToMake(file);
    writeFileSync(file, 'a backup');
    expect((await run([whole], target)).ended).toMatch(/is there already/);
    expect([readFileSync(file, 'utf8'), readFileSync(partial)]).toEqual(['a backup', IMAGE]);
  });

  test('says how far it is to who looks, and takes that away before another word', async () => {
    let now = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => {
      now += 2_000;
      return now;
    });
    const tries: Try[] = [
      { at: 0, gives: IMAGE.subarray(0, 11), ends: 'breaks' },
      { at: 11, gives: IMAGE.subarray(11), says: digestText(IMAGE), ends: 0 },
    ];
    const { err } = await run(tries, undefined, BIG, true);
    clock.mockRestore();
    const lines = err.replaceAll(`${folder}/`, '').split('\r\u001b[K');
    expect(lines).toEqual([
      '',
      'lab.vhdx: 50 % of 22 bytes, 6 bytes/s, 3 s left',
      'the connection broke off: it goes on\n',
      'lab.vhdx: 50 % of 22 bytes, 3 bytes/s, 5 s left',
      'lab.vhdx: 100 % of 22 bytes, 4 bytes/s, 0 s left',
      '',
      'lab.vhdx is read for its SHA-256: 100 % of 22 bytes, 11 bytes/s, 0 s left',
      '',
    ]);
  });

  test('of no bytes is a file', async () => {
    const none = Buffer.alloc(0);
    expect((await run([{ at: 0, says: digestText(none), ends: 0 }])).ended).toBe('0 bytes');
    expect(readFileSync(file)).toEqual(none);
  });

  test('on a full disk is a refusal that names it', async () => {
    const target = await fileToMake(file);
    symlinkSync('/dev/full', partial);
    const { ended } = await run([whole], target);
    expect(ended).toBe(
      `${partial} cannot be written: ENOSPC: no space left on device, write: make room, and give the same again, which goes on`,
    );
  });

  test('in a folder of somebody else is refused', async () => {
    if (process.getuid?.() === 0) return; // may write everywhere
    chmodSync(folder, 0o500);
    try {
      await expect(fileToMake(file)).rejects.toThrow(`${file} cannot be written: EACCES`);
    } finally {
      chmodSync(folder, 0o700);
    }
  });
});

describe('a stream', () => {
  const stream = () => {
    const came: Buffer[] = [];
    const target = streamToFill('standard output', async (bytes) => void came.push(Buffer.from(bytes)));
    return { target, came: () => Buffer.concat(came) };
  };

  test('takes each byte once, across a connection that broke', async () => {
    const { target, came } = stream();
    const tries: Try[] = [
      { at: 0, gives: IMAGE.subarray(0, 5), ends: 'breaks' },
      { at: 5, gives: IMAGE.subarray(5), says: digestText(IMAGE), ends: 0 },
    ];
    expect((await run(tries, target)).ended).toBe(RIGHT);
    expect([came(), existsSync(partial)]).toEqual([IMAGE, false]);
  });

  test('is not taken anew', async () => {
    const { target } = stream();
    const tries: Try[] = [
      { at: 0, gives: IMAGE, ends: 'breaks' },
      { at: IMAGE.length, says: OLD(IMAGE.length), ends: 1 },
    ];
    expect((await run(tries, target)).ended).toBe(
      'standard output: what came is not what the server has: throw away what came, and give the same again',
    );
  });
});
