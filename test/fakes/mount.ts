/** A Secret mounted as the kubelet mounts it: files are links into `..data`, which turns to a new folder when any of them changes. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Root's, for the group alone, as `defaultMode: 0o440` and `fsGroup` make it. */
export function mountSecret(folder: string, files: Readonly<Record<string, string | Buffer>>, gid = 0): string {
  mkdirSync(folder, { recursive: true });
  const made = mkdtempSync(`${folder}/..v-`);
  chmodSync(made, 0o755);
  for (const [name, bytes] of Object.entries(files)) {
    writeFileSync(join(made, name), bytes, { mode: 0o440 });
    chownSync(join(made, name), 0, gid);
    rmSync(join(folder, name), { force: true });
    symlinkSync(join('..data', name), join(folder, name));
  }
  symlinkSync(basename(made), join(folder, '..tmp'));
  renameSync(join(folder, '..tmp'), join(folder, '..data'));
  return folder;
}
