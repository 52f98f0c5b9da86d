/** Opens an image once, in a process that did nothing before: `node test/bench/image/open.ts PATH` → {"ms","peakBytes"}, above what the process had. */
import { readFileSync, writeFileSync } from 'node:fs';
import { openImage } from '../../../src/image/images.ts';

export interface Opened {
  readonly ms: number;
  readonly peakBytes: number;
}

/** proc(5): resident memory at its most, since `clear_refs` was written. */
function peakBytes(): number {
  const [, kib = '0'] = /^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kib) * 1_024;
}

writeFileSync('/proc/self/clear_refs', '5');
const before = peakBytes();
const start = performance.now();
const opened = await openImage(process.argv[2] ?? '');
const ms = performance.now() - start;
if (!opened.ok) throw new Error(opened.error.message);
console.log(JSON.stringify({ ms, peakBytes: peakBytes() - before } satisfies Opened));
await opened.value.close();
