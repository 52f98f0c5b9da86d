import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { isBootFile } from '../farm/files.ts';
import { formatOf } from './formats.ts';
import { filter, lineFor, qemuConvert, renameLine, word } from './shell.ts';

test('a line runs in any folder, and keeps what the image was', () => {
  const moves = 'mv lab.raw "$(mktemp -u lab.raw.original-XXXXXX)" && mv lab.raw.partial lab.raw';
  expect(lineFor('/srv/my disks/lab.raw', filter('gzip -dc'))).toBe(
    `\`cd '/srv/my disks' && gzip -dc < lab.raw > lab.raw.partial && ${moves}\``,
  );
});

test('an image gets the name of its format, over no other image', () => {
  expect(renameLine('/srv/my disks/lab.1.raw', '.avhd')).toBe("`cd '/srv/my disks' && mv -n lab.1.raw lab.1.avhd`");
});

test.each(['lab.raw', 'a b.raw', "it's, you.raw", 'a,b,,c.raw', 'a"b$(id).raw'])(
  'a line for %s runs, and qemu-img is asked for that file',
  (name) => {
    const folder = mkdtempSync(join(tmpdir(), "bootfarm it's, a shell-"));
    writeFileSync(join(folder, name), 'packed');
    // In place of qemu-img: what it was asked to read goes to where it was asked to write.
    const qemu = 'qemu() { for into; do asked=$last; last=$into; done; printf %s "$asked" > "$into"; }; ';
    const line = lineFor(join(folder, name), qemuConvert('vdi')).replace(/^`|`$/g, '');
    execFileSync('sh', ['-ec', qemu + line.replace('qemu-img', 'qemu')]);
    expect(readFileSync(join(folder, name), 'utf8')).toBe(name);
    const kept = readdirSync(folder).find((left) => left !== name) ?? '';
    expect([kept.startsWith(`${name}.original-`), readFileSync(join(folder, kept), 'utf8')]).toEqual([true, 'packed']);
    expect([isBootFile(kept), formatOf(kept)]).toEqual([false, undefined]);
    rmSync(folder, { recursive: true });
  },
);

test.each(['lab.raw', '/srv/vdisks', 'a b', "it's", '$(id)', '-rf', '~root', 'a;b', 'ü'])('%s is one word', (text) => {
  expect(execFileSync('sh', ['-c', `printf %s ${word(text)}`]).toString()).toBe(text);
});
