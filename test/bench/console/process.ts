/** What a process took, as the kernel counts it. */
import { readFileSync } from 'node:fs';

/** Of Linux on every architecture that we run on (USER_HZ). */
const TICK_MS = 10;

export interface ProcessUse {
  readonly atMs: number;
  readonly cpuMs: number;
  readonly highestRssMiB: number;
}

export function processUse(pid: number): ProcessUse {
  const atMs = performance.now();
  // Its name may hold spaces: fields begin behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const cpuMs = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  const [, kib = ''] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { atMs, cpuMs, highestRssMiB: Number(kib) / 1_024 };
}
