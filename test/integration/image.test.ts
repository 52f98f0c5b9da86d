/** The image that `make image` has made: how large it is, and what it says it is made of. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
/** 860 MB once; each node of a farm pulls it. */
const MAX_BYTES = 300e6;

test('it is small', () => {
  expect(statSync(join(root, '.build/image.tar')).size).toBeLessThan(MAX_BYTES);
});

test('its bill of materials names every package of ours with its version, and those of Debian', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const { bomFormat, components } = JSON.parse(readFileSync(join(root, '.build/image.cdx.json'), 'utf8'));
  expect(bomFormat).toBe('CycloneDX');
  const named = new Map(
    components.map(({ purl, version }: { purl: string; version: string }) => [purl.split(/@[^@]*$/)[0], version]),
  );
  for (const [name, version] of Object.entries(dependencies))
    expect([name, named.get(`pkg:npm/${name.replace('@', '%40')}`)]).toEqual([name, version]);
  for (const name of ['postgresql-15', 'redis-server', 'libsodium23', 'ipxe', 'libc6'])
    expect(named.has(`pkg:deb/debian/${name}`)).toBe(true);
  expect(named.has('pkg:deb/debian/libllvm14')).toBe(false);
});
