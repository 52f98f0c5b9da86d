/** Cylinders, heads and sectors of a disk. Source: "Virtual Hard Disk Image Format Specification" 1.0, "Appendix: CHS Calculation". Pure. */
import { SECTOR_BYTES } from '../disk.ts';

export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** What disks beyond 127 GiB have, and what readers that go by the geometry take for "see the size". */
const LARGEST: Geometry = { cylinders: 65_535, heads: 16, sectors: 255 };

/**
 * The specification's, where that is all of the disk. Else it would end before the disk does, and qemu, which goes by the geometry of all creators that it does not
 * know, would cut the disk there: then it is the largest, for which qemu goes by the size, as all others do.
 */
export function geometryOf(sizeBytes: number): Geometry {
  const total = sizeBytes / SECTOR_BYTES;
  const geometry = specified(total);
  return geometry.cylinders * geometry.heads * geometry.sectors === total ? geometry : LARGEST;
}

function specified(total: number): Geometry {
  if (total >= LARGEST.cylinders * LARGEST.heads * LARGEST.sectors) return LARGEST;
  if (total >= 65_535 * 16 * 63) return withHeads(total, 255, 16);
  const tracks = Math.floor(total / 17);
  const heads = Math.max(4, Math.ceil(tracks / 1_024));
  if (heads <= 16 && tracks < heads * 1_024) return withHeads(total, 17, heads);
  return Math.floor(total / 31) < 16 * 1_024 ? withHeads(total, 31, 16) : withHeads(total, 63, 16);
}

const withHeads = (total: number, sectors: number, heads: number): Geometry => ({
  cylinders: Math.floor(Math.floor(total / sectors) / heads),
  heads,
  sectors,
});
