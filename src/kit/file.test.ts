import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { kindOf, leadsTo, openRegular, pathFault, replaceFile } from './file.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-file-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

test('a regular file is opened, by a link, too', async () => {
  writeFileSync(at('lab.raw'), 'text');
  symlinkSync('lab.raw', at('link'));
  for (const name of ['lab.raw', 'link']) {
    const opened = await openRegular(at(name));
    if (!opened.ok) throw new Error(opened.error.message);
    expect([opened.value.stats.size, (await opened.value.file.readFile()).toString()]).toEqual([4n, 'text']);
    await opened.value.file.close();
  }
});

test('what is none is not opened, and nobody is waited for', async () => {
  mkdirSync(at('folder'));
  execFileSync('mkfifo', [at('pipe')]);
  const socket = createServer().listen(at('socket'));
  for (const [name, says] of [
    ['folder', 'is a folder'],
    ['pipe', 'is a named pipe'],
    ['socket', 'is a socket'],
    ['/dev/zero', 'is a character device'],
  ] as const) {
    const opened = await openRegular(name.startsWith('/') ? name : at(name));
    expect(opened).toMatchObject({ ok: false, error: { code: 'NotRegular', message: expect.stringContaining(says) } });
  }
  socket.close();
});

test.each([
  { what: 'no link', path: 'led/file', to: 'led/file' },
  { what: 'what is not there', path: 'led/gone/file', to: 'led/gone/file' },
  { what: 'a link', path: 'led/near', to: 'led/file' },
  { what: 'a link to a link in another folder', path: 'led/folder/far', to: 'led/file' },
  { what: 'a file in a folder that is a link', path: 'led/linked/far', to: 'led/file' },
  { what: 'a way up from where a link leads', path: 'led/deep/../far', to: 'led/file' },
  { what: 'a link to nowhere', path: 'led/nowhere', to: '/nowhere/lab.raw' },
  { what: 'a link to itself', path: 'led/circle', to: 'led/circle' },
])('$what is followed to its end', async ({ path, to }) => {
  execFileSync(
    'sh',
    [
      '-c',
      `rm -rf led; mkdir -p led/folder/sub; cd led; : > file; ln -s file near; ln -s ../near folder/far; ln -s folder linked
     ln -s folder/sub deep; ln -s /nowhere/./lab.raw nowhere; ln -s circle circle`,
    ],
    { cwd: folder },
  );
  const at = (name: string): string => (name.startsWith('/') ? name : `${folder}/${name}`);
  expect(await leadsTo(at(path))).toBe(at(to));
});

test.each([
  { code: 'ENOENT', is: 'FileMissing', says: 'does not exist' },
  { code: 'ENOENT', target: '/gone', is: 'LinkBroken', says: 'a link to /gone' },
  { code: 'ENOTDIR', target: 'lab/x', is: 'LinkBroken', says: 'a link to lab/x' },
  { code: 'ELOOP', is: 'LinkBroken', says: 'in a circle' },
  { code: 'EACCES', is: 'NoPermission', says: 'permission denied to user' },
  { code: 'EPERM', is: 'NoPermission', says: 'permission denied to user' },
  { code: 'EIO', is: 'FileUnreadable', says: 'thrown' },
  { code: 'ESTALE', is: 'FileUnreadable', says: 'thrown' },
])('$code of a path is $is', ({ code, target, is, says }) => {
  const fault = pathFault('/srv/lab.raw', Object.assign(new Error('thrown'), { code }), target);
  expect(fault).toMatchObject({ code: is, message: expect.stringContaining(says) });
  expect(fault.message).toContain('/srv/lab.raw');
});

test('a block device is named as one', () => {
  const not = (): boolean => false;
  const stats = { isDirectory: not, isFIFO: not, isSocket: not, isBlockDevice: () => true };
  expect(kindOf(stats)).toBe('a block device');
});

test('a file is replaced as a whole', async () => {
  await replaceFile(at('kept'), 'a long text');
  await replaceFile(at('kept'), 'short');
  expect(readFileSync(at('kept'), 'utf8')).toBe('short');
  await replaceFile(at('kept'), Buffer.of(0, 255));
  expect(readFileSync(at('kept'))).toEqual(Buffer.of(0, 255));
  expect(existsSync(at('kept.partial'))).toBe(false);
});

test('one that cannot be replaced leaves nothing beside it', async () => {
  mkdirSync(at('taken/kept'), { recursive: true });
  await expect(replaceFile(at('taken'), 'a text')).rejects.toThrow('EISDIR');
  expect(existsSync(at('taken.partial'))).toBe(false);
});
