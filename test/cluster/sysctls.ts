/** Settings of the whole machine that a kubelet changes: kept before the first, set back after the last. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** pkg/kubelet/cm: setupKernelTunables. */
const CHANGED = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];

const pathOf = (name: string): string => join('/proc/sys', name);

export function saveSysctls(folder: string): void {
  const values = CHANGED.filter((name) => existsSync(pathOf(name))).map((name) => [
    name,
    readFileSync(pathOf(name), 'utf8'),
  ]);
  writeFileSync(join(folder, 'sysctls.json'), JSON.stringify(Object.fromEntries(values)));
}

export function restoreSysctls(folder: string): void {
  const path = join(folder, 'sysctls.json');
  if (!existsSync(path)) return;
  const values: Record<string, string> = JSON.parse(readFileSync(path, 'utf8'));
  for (const [name, value] of Object.entries(values)) writeFileSync(pathOf(name), value);
}
