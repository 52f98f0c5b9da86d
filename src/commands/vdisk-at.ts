/** Which vDisk is meant by a path. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { vdisksIn } from '../store/pvs/folder.ts';
import { imageStem, imagesOf, type VDiskFiles, vdisksOf } from '../store/versions.ts';
import { must, Refusal } from '../terminal/refusal.ts';

/** `name`: a vDisk in its folder. */
export async function vdiskOf(name: string): Promise<VDiskFiles> {
  const path = resolve(name);
  if (path === '/') throw new Refusal(`${name}: name a vDisk in its folder, as /srv/vdisks/lab`);
  return withoutEnd({ folder: dirname(path), fileName: basename(path) });
}

/** Who lets a shell complete the name has that of a file: it is the vDisk's where none is named so. That of a later version says more than a vDisk. */
async function withoutEnd({ folder, fileName: typed }: VDiskFiles): Promise<VDiskFiles> {
  const there = await readdir(folder).catch(() => []);
  const stem = imageStem(typed) ?? /^(.+)\.(?:xml|pvp)$/.exec(typed)?.[1];
  if (stem === undefined || imagesOf(there, typed).length > 0) return { folder, fileName: typed };
  const [, fileName = stem, number] = /^(.+)\.([1-9]\d{0,8})$/.exec(stem) ?? [];
  if (number !== undefined && vdisksOf(there).includes(fileName))
    throw new Refusal(
      `${join(folder, typed)} is of version ${number} of a vDisk: name that one, ${join(folder, fileName)}`,
    );
  return { folder, fileName: stem };
}

/** Ends as a folder does: with nothing, `/`, `.` or `..`. */
const FOLDER_WORDS = /(^|\/)\.{0,2}$/;

/** Where a file is to be made. The name of a folder is refused: it would get the end of an image, and the file would lie beside the folder. */
export async function fileAt(target: string): Promise<string> {
  const path = resolve(target);
  if (!FOLDER_WORDS.test(target) && !(await isFolder(path))) return path;
  throw new Refusal(`${target || "''"} names a folder: name the file in it, as ${join(path, 'lab.vhdx')}`);
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );

/** `target`: a folder with one vDisk, or a vDisk in its folder. */
export async function vdiskAt(target: string): Promise<VDiskFiles> {
  const path = resolve(target);
  if (!(await isFolder(path))) return vdiskOf(target);
  const [fileName, ...others] = must(await vdisksIn(path));
  if (fileName === undefined) throw new Refusal(`${path} has no image of a vDisk (.vhdx, .vhd, .raw)`);
  if (others.length > 0)
    throw new Refusal(`${path} has the vDisks ${[fileName, ...others].join(', ')}: name one, as ${path}/${fileName}`);
  return { folder: path, fileName };
}
