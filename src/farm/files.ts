/** Names of the files of a version, after PVS: `lab.raw` is the base, `lab.3.avhdx` a differencing file, `lab.4.vhdx` a merged base. */
import { createHash } from 'node:crypto';
import type { Store, VersionFile } from './model.ts';

export interface VersionFileNames {
  /** In order of preference; the one that is there is the image. */
  readonly images: readonly string[];
  /** With which a Linux device boots: they belong to the version as its image does. */
  readonly kernel: string;
  readonly initrd: string;
}

export function fileNames(fileName: string, version: number): VersionFileNames {
  const stem = version === 0 ? fileName : `${fileName}.${version}`;
  const images = version === 0 ? ['.raw', '.vhdx', '.vhd'] : ['.raw', '.avhdx', '.avhd', '.vhdx', '.vhd'];
  return { images: images.map((extension) => stem + extension), kernel: `${stem}.vmlinuz`, initrd: `${stem}.initrd` };
}

/** The manifest digest of a version: SHA-256 over the lines `digest  name`, ordered by name, as `sha256sum` would print them. */
export function manifestDigest(files: readonly VersionFile[]): string {
  const lines = files
    .map((file) => `${file.sha256}  ${file.name}\n`)
    .sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/** Where a store lies on a server. */
export const storePath = (store: Store, server: string): string => store.local.nodes[server] ?? store.local.path;

/** Does a server offer this store? */
export function offersStore(
  store: Store,
  server: { readonly name: string; readonly pool: string; readonly site: string },
): boolean {
  if (store.site !== undefined && store.site !== server.site) return false;
  if (store.pools.length === 0 && store.servers.length === 0) return true;
  return store.pools.includes(server.pool) || store.servers.includes(server.name);
}
