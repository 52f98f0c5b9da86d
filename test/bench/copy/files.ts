/** The image of the copy bench, and the one after it: random bytes, 5 % of whose pages of 4 KiB are others, in clusters. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, copyFileSync, openSync, readSync, writeSync } from 'node:fs';
import { ManifestMaker } from '../../../src/transfer/maker.ts';
import { chunkBytesOf, type Manifest } from '../../../src/transfer/manifest.ts';
import { Random } from '../../simulation/random.ts';

const PAGE_BYTES = 4_096;
const STEP_BYTES = 16 << 20;
const CHANGED = 0.05;
/** Pages of a cluster: from one to so many, the small ones as often as the large. */
const MOST_PAGES = 1_024;

export function makeRandom(path: string, sizeBytes: number): void {
  const fd = openSync(path, 'w');
  for (let at = 0; at < sizeBytes; at += STEP_BYTES) writeSync(fd, randomBytes(Math.min(STEP_BYTES, sizeBytes - at)));
  closeSync(fd);
}

/** A copy of it that is changed. How many clusters there are. */
export function makeChanged(path: string, before: string, sizeBytes: number, seed: number): number {
  copyFileSync(before, path);
  const random = new Random(seed, 'changes');
  const pages = sizeBytes / PAGE_BYTES;
  const fd = openSync(path, 'r+');
  let clusters = 0;
  for (let left = Math.round(pages * CHANGED); left > 0; clusters++) {
    const count = Math.min(left, random.scale(1, MOST_PAGES));
    writeSync(
      fd,
      randomBytes(count * PAGE_BYTES),
      0,
      count * PAGE_BYTES,
      random.between(0, pages - count) * PAGE_BYTES,
    );
    left -= count;
  }
  closeSync(fd);
  return clusters;
}

/** As the pass that digests it makes it. */
export function digested(path: string, sizeBytes: number, chunkBytes = chunkBytesOf(sizeBytes) ?? 0): Manifest {
  const maker = new ManifestMaker(sizeBytes, chunkBytes);
  const whole = createHash('sha256');
  const bytes = Buffer.allocUnsafeSlow(1 << 20);
  const fd = openSync(path, 'r');
  for (let read = readSync(fd, bytes); read > 0; read = readSync(fd, bytes)) {
    whole.update(bytes.subarray(0, read));
    maker.add(bytes.subarray(0, read));
  }
  closeSync(fd);
  return maker.finish(whole.digest('hex'));
}
