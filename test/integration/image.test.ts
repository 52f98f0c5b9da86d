/** The image that `make image` has made: how large it is, and what it says it is made of. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
/** 860 MB once; each node of a farm pulls it. */
const MAX_BYTES = 300e6;

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
}

test('it is small', () => {
  expect(statSync(join(root, '.build/image.tar')).size).toBeLessThan(MAX_BYTES);
});

test('its bill of materials names every package of ours with its version, and those of Debian', () => {
  const lock: { packages: Record<string, Locked> } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const { bomFormat, components } = JSON.parse(readFileSync(join(root, '.build/image.cdx.json'), 'utf8'));
  expect(bomFormat).toBe('CycloneDX');
  const purls = new Set<string>(components.map(({ purl }: { purl: string }) => purl));
  const named = new Set([...purls].map((purl) => purl.split(/@[^@]*$/)[0]));
  const served = Object.entries(lock.packages).filter(
    ([path, { dev, devOptional, optional }]) => path !== '' && !dev && !devOptional && !optional,
  );
  expect(served.length).toBeGreaterThan(100);
  const purlOf = ([path, { version }]: (typeof served)[number]): string =>
    `pkg:npm/${path.replace(/^.*node_modules\//, '').replace('@', '%40')}@${version}`;
  expect(served.map(purlOf).filter((purl) => !purls.has(purl))).toEqual([]);
  for (const name of ['postgresql-15', 'redis-server', 'libsodium23', 'ipxe', 'qemu-utils', 'libc6'])
    expect(named.has(`pkg:deb/debian/${name}`)).toBe(true);
  expect(named.has('pkg:deb/debian/libllvm14')).toBe(false);
});
