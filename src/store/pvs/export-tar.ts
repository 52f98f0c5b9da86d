/** The folder that PVS imports as one archive on its way out: nothing is written here. */
import { join } from 'node:path';
import { ok, type Result } from '../../kit/result.ts';
import { type Given, giveAll, type Outgoing, type OutgoingFault, outgoingFile } from '../outgoing.ts';
import type { VDiskFiles } from '../versions.ts';
import { type Exported, type ExportFault, type ExportOptions, exportingOf } from './export.ts';
import { type TarFile, tarBytes, tarOf } from './tar.ts';

export interface ExportedTar extends Given, Pick<Exported, 'versions' | 'assumed'> {
  /** The manifest is the last: an archive without it is not whole. */
  readonly names: readonly string[];
}

/** `give` rejects where nobody takes it any more. A file that changes meanwhile ends it. */
export async function exportTar(
  vdisk: VDiskFiles,
  options: Pick<ExportOptions, 'numbers' | 'stated'> & Outgoing,
  give: (bytes: Buffer) => Promise<void>,
): Promise<Result<ExportedTar, ExportFault | OutgoingFault>> {
  const exporting = await exportingOf(vdisk, options);
  if (!exporting.ok) return exporting;
  const { manifestName, manifest, files, versions, assumed } = exporting.value;
  const all: TarFile<OutgoingFault>[] = [];
  for (const { name } of files) {
    const file = await outgoingFile(join(vdisk.folder, name));
    if (!file.ok) return file;
    all.push({ name, ...file.value });
  }
  const modifiedMs = Math.max(...all.map((file) => file.modifiedMs));
  const chunks = (async function* () {
    yield ok(manifest);
  })();
  all.push({ name: manifestName, sizeBytes: manifest.length, modifiedMs, chunks });
  const given = await giveAll(vdisk.fileName, { sizeBytes: tarBytes(all), chunks: tarOf(all) }, options, give);
  return given.ok ? ok({ ...given.value, names: all.map(({ name }) => name), versions, assumed }) : given;
}
