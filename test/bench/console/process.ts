/** What a process took, as the kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessUse {
  readonly atMs: number;
  readonly cpuMs: number;
  readonly highestRssMiB: number;
}

export function processUse(pid: number): ProcessUse {
  const atMs = performance.now();
  // In nanoseconds. The times in `stat` are counted by ticks: what a timer woke is found at work by many of them.
  const ran = readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8'));
  const cpuMs = ran.reduce((sum, line) => sum + Number(line.split(' ')[0]), 0) / 1e6;
  const [, kib = ''] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { atMs, cpuMs, highestRssMiB: Number(kib) / 1_024 };
}
