/**
 * Manifests of files of this server, in its state directory, by the files' digests. What is kept is judged as what a peer gives. One process writes them, one
 * at a time; any may read.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openRegular, replaceFile } from '../kit/file.ts';
import { decode, decodeHead, HEAD_BYTES, type Manifest, type ManifestFacts } from './manifest.ts';

const NAME = /^([0-9a-f]{64})\.([0-9a-f]{64})\.chunks$/;

const nameOf = (sha256: string, root: string): string => `${sha256}.${root}.chunks`;

interface Kept {
  readonly name: string;
  /** Absent: it is no manifest. */
  readonly sha256?: string | undefined;
  readonly root?: string | undefined;
}

export class Manifests {
  readonly folder: string;

  constructor(stateDirectory: string) {
    this.folder = join(stateDirectory, 'chunks');
  }

  /** For who writes, before all else: what is of none of these files goes. Digests of those that have one. Never rejects. */
  async tidy(known: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    for (const { name, sha256 = '' } of await this.#all()) {
      if (known.has(sha256)) found.add(sha256);
      else await this.#drop(name);
    }
    return found;
  }

  /** It is kept, and has not rotted. */
  async holds({ sha256, root, encoded }: Manifest): Promise<boolean> {
    const kept = await readFile(join(this.folder, nameOf(sha256, root))).catch(() => undefined);
    return kept?.equals(encoded) === true;
  }

  /** Rejects where the file system does. Its root is in its name, so that what rots is seen. */
  async keep({ sha256, root, encoded }: Manifest): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const name = nameOf(sha256, root);
    await replaceFile(join(this.folder, name), encoded);
    for (const other of await this.#all(sha256)) if (other.name !== name) await this.#drop(other.name);
  }

  /** Undefined: there is none that is whole. */
  async of(sha256: string): Promise<Manifest | undefined> {
    for (const { name, root } of await this.#all(sha256)) {
      const encoded = await readFile(join(this.folder, name)).catch(() => Buffer.alloc(0));
      const manifest = decode(encoded);
      if (manifest.ok && manifest.value.sha256 === sha256 && manifest.value.root === root) return manifest.value;
      await this.#drop(name);
    }
    return undefined;
  }

  /** Of the one that is there, by its first bytes; whether the rest is whole, who reads it sees by its root. */
  async factsOf(sha256: string): Promise<{ readonly path: string; readonly facts: ManifestFacts } | undefined> {
    for (const { name, root = '' } of await this.#all(sha256)) {
      const path = join(this.folder, name);
      const head = decodeHead(await headOf(path));
      if (head.ok && head.value.sha256 === sha256) return { path, facts: { ...head.value, root } };
    }
    return undefined;
  }

  async remove(sha256: string): Promise<void> {
    for (const { name } of await this.#all(sha256)) await this.#drop(name);
  }

  /** Of this file; without one: all that lies there. */
  async #all(sha256?: string): Promise<readonly Kept[]> {
    const names = await readdir(this.folder).catch(() => []);
    const all = names.map((name): Kept => {
      const [, digest, root] = NAME.exec(name) ?? [];
      return { name, sha256: digest, root };
    });
    return sha256 === undefined ? all : all.filter((kept) => kept.sha256 === sha256);
  }

  /** Who may only read leaves it. */
  #drop(name: string): Promise<void> {
    return rm(join(this.folder, name), { force: true }).catch(() => undefined);
  }
}

/** Empty: it cannot be read. */
export async function headOf(path: string): Promise<Buffer> {
  try {
    const opened = await openRegular(path);
    if (!opened.ok) return Buffer.alloc(0);
    await using file = opened.value.file;
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } catch {
    return Buffer.alloc(0);
  }
}
