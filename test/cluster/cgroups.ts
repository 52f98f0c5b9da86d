/** One control group a node, above its pods: version 1 (a hierarchy for each controller) and version 2. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './run.ts';

const ROOT = '/sys/fs/cgroup';
const isVersion2 = (): boolean => existsSync(join(ROOT, 'cgroup.controllers'));
const hierarchies = (): string[] =>
  isVersion2()
    ? [ROOT]
    : readdirSync(ROOT)
        .map((name) => join(ROOT, name))
        .filter((path) => existsSync(join(path, 'cgroup.procs')));

export function makeControlGroups(name: string): void {
  if (isVersion2()) {
    const controllers = readFileSync(join(ROOT, 'cgroup.controllers'), 'utf8').trim().split(' ');
    writeFileSync(join(ROOT, 'cgroup.subtree_control'), controllers.map((controller) => `+${controller}`).join(' '));
  }
  for (const hierarchy of hierarchies()) {
    mkdirSync(join(hierarchy, name), { recursive: true });
    // Version 1: a new cpuset has no processor and no memory.
    if (hierarchy.endsWith('/cpuset'))
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        writeFileSync(join(hierarchy, name, file), readFileSync(join(hierarchy, file)));
  }
}

/** Groups of processes that just ended stay busy for a moment. */
export async function removeControlGroups(names: readonly string[]): Promise<void> {
  const paths = hierarchies().flatMap((hierarchy) => names.map((name) => join(hierarchy, name)));
  for (const path of paths)
    await until(`${path} removed`, 10_000, () => {
      remove(path);
      return true;
    });
}

function remove(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) remove(join(path, entry.name));
  rmdirSync(path);
}
