import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { isBootFile } from '../farm/files.ts';
import { formatOf } from './formats.ts';
import { filter, lineFor, qemuConvert, word } from './shell.ts';

const KEEP = 'mv lab.raw "$(mktemp -u lab.raw.original-XXXXXX)"';
test.each([
  { what: 'keeps what the image was', image: 'lab.raw', moves: `${KEEP} && mv lab.raw.partial lab.raw` },
  { what: 'overwrites no other image', image: 'new.raw', moves: 'mv -n new.raw.partial new.raw' },
])('a line runs in any folder, and $what', ({ image, moves }) => {
  expect(lineFor('/srv/my disks/lab.raw', filter('gzip -dc'), image)).toBe(
    `\`cd '/srv/my disks' && gzip -dc < lab.raw > ${image}.partial && ${moves}\``,
  );
});

test.each(['lab.raw', 'a b.raw', "it's, you.raw", 'a,b,,c.raw', 'a"b$(id).raw'])(
  'a line for %s runs, and qemu-img is asked for that file',
  (name) => {
    const folder = mkdtempSync(join(tmpdir(), "bootfarm it's, a shell-"));
    writeFileSync(join(folder, name), 'packed');
    // In place of qemu-img: what it was asked to read, as its options are split, goes to where it was asked to write.
    const qemu = 'qemu() { for into; do asked=$last; last=$into; done; printf %s "$asked" > "$into"; }; ';
    const line = lineFor(join(folder, name), qemuConvert('vpc')).replace(/^`|`$/g, '');
    execFileSync('sh', ['-ec', qemu + line.replace('qemu-img', 'qemu')]);
    const asked = readFileSync(join(folder, name), 'utf8').split('file.filename=')[1];
    expect(asked?.replaceAll(',,', ',')).toBe(name);
    expect(asked?.replaceAll(',,', '')).not.toContain(',');
    const kept = readdirSync(folder).find((left) => left !== name) ?? '';
    expect([kept.startsWith(`${name}.original-`), readFileSync(join(folder, kept), 'utf8')]).toEqual([true, 'packed']);
    expect([isBootFile(kept), formatOf(kept)]).toEqual([false, undefined]);
    rmSync(folder, { recursive: true });
  },
);

test.each(['lab.raw', '/srv/vdisks', 'a b', "it's", '$(id)', '-rf', '~root', 'a;b', 'ü'])('%s is one word', (text) => {
  expect(execFileSync('sh', ['-c', `printf %s ${word(text)}`]).toString()).toBe(text);
});
