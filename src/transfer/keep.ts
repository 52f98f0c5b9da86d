/** Manifests of files of this server, in its state directory, by the files' digests. What is kept is judged as what a peer gives. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PARTIAL } from '../kit/file.ts';
import { decode, type Manifest } from './manifest.ts';

const END = '.chunks';
const ROOT = /^[0-9a-f]{64}$/;

export class Manifests {
  readonly #folder: string;

  constructor(stateDirectory: string) {
    this.#folder = join(stateDirectory, 'chunks');
  }

  /** Rejects where the file system does. Its root is in its name, so that what rots is seen. */
  async keep(manifest: Manifest): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const path = join(this.#folder, `${manifest.sha256}.${manifest.root}${END}`);
    await writeFile(path + PARTIAL, manifest.encoded, { flush: true });
    await rename(path + PARTIAL, path);
  }

  /** Undefined: there is none that is whole. */
  async of(sha256: string): Promise<Manifest | undefined> {
    for (const { name, root } of await this.#all(sha256)) {
      const encoded = await readFile(join(this.#folder, name)).catch(() => Buffer.alloc(0));
      const manifest = decode(encoded);
      if (manifest.ok && manifest.value.sha256 === sha256 && manifest.value.root === root) return manifest.value;
      await rm(join(this.#folder, name), { force: true });
    }
    return undefined;
  }

  async remove(sha256: string): Promise<void> {
    for (const { name } of await this.#all(sha256)) await rm(join(this.#folder, name), { force: true });
  }

  async #all(sha256: string): Promise<readonly { readonly name: string; readonly root: string }[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names.flatMap((name) => {
      const [digest, root = ''] = name.split('.');
      return digest === sha256 && ROOT.test(root) && name.endsWith(root + END) ? [{ name, root }] : [];
    });
  }
}
