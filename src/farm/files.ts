/** Names of the files of a version, after PVS: those of version 3 of lab begin with `lab.3`, those of its base with `lab` alone. */
import { createHash } from 'node:crypto';
import type { Store, VDisk, VersionFile } from './model.ts';

export interface VersionFileNames {
  /** The image's without its end, which says its format. */
  readonly stem: string;
  /** With which a Linux device boots: they belong to the version as its image does. */
  readonly kernel: string;
  readonly initrd: string;
}

export function fileNames(fileName: string, version: number): VersionFileNames {
  const stem = version === 0 ? fileName : `${fileName}.${version}`;
  return { stem, kernel: stem + KERNEL, initrd: stem + INITRD };
}

/** Of an image by its name without the end; undefined: it is none of this vDisk. */
export function versionOfStem(stem: string, fileName: string): number | undefined {
  if (stem === fileName) return 0;
  const digits = stem.startsWith(`${fileName}.`) ? stem.slice(fileName.length + 1) : '';
  return /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : undefined;
}

/** After PVS: `lab.1.avhdx` is a difference, `lab.1.vhdx` a base. */
export const isDifferenceName = (image: string): boolean => /\.avhdx?$/.test(image);

const KERNEL = '.vmlinuz';
const INITRD = '.initrd';

/** By its name. */
export const isBootFile = (name: string): boolean => name.endsWith(KERNEL) || name.endsWith(INITRD);

/** The manifest digest of a version: SHA-256 over the lines `digest  name`, ordered by name, as `sha256sum` would print them. */
export function manifestDigest(files: readonly VersionFile[]): string {
  const lines = files
    .map((file) => `${file.sha256}  ${file.name}\n`)
    .sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/** Where a store lies on a server. */
export const storePath = (store: Store, server: string): string => store.local.nodes[server] ?? store.local.path;

/** Is a path one of these folders, or below one? */
export const isWithin = (path: string, folders: readonly string[]): boolean =>
  folders.some((folder) => path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`));

/** Does a server offer this store? */
export function offersStore(
  store: Store,
  server: { readonly name: string; readonly pool: string; readonly site: string },
): boolean {
  if (store.site !== undefined && store.site !== server.site) return false;
  if (store.pools.length === 0 && store.servers.length === 0) return true;
  return store.pools.includes(server.pool) || store.servers.includes(server.name);
}

/** Is a server of its store to have a copy of it? */
export const keepsCopy = ({ copies }: VDisk, server: string): boolean => !copies || copies.servers.includes(server);
