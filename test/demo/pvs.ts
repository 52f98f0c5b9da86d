/** A vDisk as PVS leaves it, in a folder of a node: taken over where it lies, and given back. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileNames } from '../../src/farm/files.ts';
import { aPvsFolder, CHAIN_OF_FIVE } from '../builders/pvs.ts';
import { type DemoFarm, STORE_FOLDER } from './farm.ts';
import type { OwnSite } from './site.ts';
import { storePath, work } from './versions.ts';

export interface ThereAndBack {
  /** What `takeover` says of the folder of PVS, JSON. */
  readonly taken: string;
  readonly exported: string;
  /** What it says of the one that was exported. */
  readonly again: string;
}

/** A chain of five with its properties and its manifest; and with kernels, which PVS has none of and a takeover says to lack. */
async function pvsFolder(folder: string): Promise<void> {
  mkdirSync(folder);
  await aPvsFolder(folder);
  for (const { number } of CHAIN_OF_FIVE) {
    const { kernel, initrd } = fileNames('lab', number);
    for (const name of [kernel, initrd]) writeFileSync(join(folder, name), name);
  }
}

/** Beside the vDisks of that node's store. */
export async function throughPvs(farm: DemoFarm<OwnSite>, node: string): Promise<ThereAndBack> {
  const names = ['from-pvs', 'for-pvs'] as const;
  const [from, to] = names.map((name) => `${STORE_FOLDER}/${name}`) as [string, string];
  try {
    await pvsFolder(storePath(farm.site, node, names[0]));
    const taken = await work(farm, node, 'takeover', from, '-o', 'json');
    const exported = await work(farm, node, 'export', from, '--to', to);
    return { taken, exported, again: await work(farm, node, 'takeover', to, '-o', 'json') };
  } finally {
    for (const name of names) rmSync(storePath(farm.site, node, name), { recursive: true, force: true });
  }
}
