/** Folders as PVS writes them: images of our writers (VHD, each of some KiB), a `.pvp` each, and a manifest. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDifference } from '../../src/image/difference.ts';
import { createImage } from '../../src/image/images.ts';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import { encodeManifest, type PvsVersion } from '../../src/store/pvs/manifest.ts';
import { emptyProperties, encodeProperties, type PvsProperties } from '../../src/store/pvs/properties.ts';

const DISK_BYTES = 1 << 20;

export const aPvsVersion = (number: number, more: Partial<PvsVersion> = {}): PvsVersion => ({
  ...{ number, description: '', type: number === 0 ? 'Base' : 'Manual', access: 'Production', deleteWhenFree: false },
  diskFileName: number === 0 ? 'lab.vhd' : `lab.${number}.avhd`,
  ...more,
});

/** Versions 0 to 4, each a difference of the one before; what each of them is, is another. */
export const CHAIN_OF_FIVE: readonly PvsVersion[] = [
  aPvsVersion(0, { description: 'as installed', createdAt: Date.UTC(2025, 0, 7, 9, 30), deleteWhenFree: true }),
  aPvsVersion(1, { description: 'Office & <fonts>', type: 'Automatic' }),
  aPvsVersion(2, { createdAt: Date.UTC(2025, 5, 1, 12, 0, 0, 137) }),
  aPvsVersion(3, { description: 'summer', scheduledAt: Date.UTC(2027, 6, 1, 2) }),
  aPvsVersion(4, { access: 'MaintenanceHighestVersion' }),
];

export function aPvp(more: Partial<PvsProperties> = {}): Buffer {
  const encoded = encodeProperties({ ...emptyProperties(), ...more });
  if (!encoded.ok) throw new Error(encoded.error.message);
  return encoded.value;
}

const done = (fault: { readonly message: string } | undefined): void => {
  if (fault) throw new Error(fault.message);
};

/** An image that has the pattern in its first 64 KiB; with `parent`, a difference of it that has nothing of its own. */
export async function anImage(folder: string, name: string, parent?: string): Promise<void> {
  if (parent !== undefined) {
    const made = await createDifference(join(folder, name), join(folder, parent));
    return done(made.ok ? undefined : made.error);
  }
  const created = await createImage(join(folder, name), {
    sizeBytes: DISK_BYTES,
    blockSize: 512,
    blockBytes: 64 << 10,
  });
  if (!created.ok) throw new Error(created.error.message);
  done(await created.value.write(0, patternBytes(0, 64 << 10)));
  done(await created.value.finish());
}

/** Images in order, each a difference of the one before, but those that are a base by their type. */
export async function aPvsFolder(folder: string, versions: readonly PvsVersion[] = CHAIN_OF_FIVE): Promise<void> {
  let parent: string | undefined;
  for (const { number, type, diskFileName } of versions) {
    const isBase = type === 'Base' || type === 'MergeBase';
    await anImage(folder, diskFileName, isBase ? undefined : parent);
    parent = diskFileName;
    const stem = number === 0 ? 'lab' : `lab.${number}`;
    const version = 100 + number;
    writeFileSync(join(folder, `${stem}.pvp`), aPvp({ version, writeCacheType: 3, writeCacheMib: 1_024 }));
  }
  writeFileSync(join(folder, 'lab.xml'), encodeManifest({ startingVersion: versions[0]?.number ?? 0, versions }));
}
