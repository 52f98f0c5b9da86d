/** What is on this machine that a cluster, a demo or a test could leave behind: listed before and after, and compared. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, until } from './run.ts';

/** A section's lines, each naming one thing. */
export type Footprint = ReadonlyMap<string, readonly string[]>;

export const takeFootprint = (): Footprint =>
  new Map(Object.entries(SECTIONS).map(([section, list]) => [section, list().sort()]));

/** Processes that were killed are gone a moment later. */
const GONE_MS = 20_000;

/** What is there beyond `before`, or not any more, once what ends has ended. */
export async function leftBehind(before: Footprint): Promise<readonly string[]> {
  let left: string[] = [];
  await until('nothing left', GONE_MS, () => {
    left = difference(before, takeFootprint());
    return left.length === 0;
  }).catch(() => undefined);
  return left;
}

/**
 * One line for each thing that came (`+`) or went (`-`), with its section; empty when the machine is as it was. A process that went ended by
 * itself: it is not listed.
 */
function difference(before: Footprint, after: Footprint): string[] {
  const lines = (section: string, sign: string, from: readonly string[], to: readonly string[]): string[] => {
    const rest = [...to];
    for (const line of from) {
      const index = rest.indexOf(line);
      if (index >= 0) rest.splice(index, 1);
    }
    return rest.map((line) => `${sign} ${section}: ${line}`);
  };
  return [...after].flatMap(([section, now]) => {
    const was = before.get(section) ?? [];
    return [...lines(section, '+', was, now), ...(section === 'process' ? [] : lines(section, '-', now, was))];
  });
}

const SECTIONS: Readonly<Record<string, () => string[]>> = {
  process: processes,
  mount: () => linesOf('/proc/self/mountinfo').map((line) => line.split(' ')[4] ?? ''),
  namespace: () => entries('/run/netns', 1),
  interface: () => readdirSync('/sys/class/net'),
  nft: () => (attempt('nft', 'list', 'ruleset') ?? '').split('\n').filter(Boolean),
  sysctl: sysctls,
  loop: () =>
    (attempt('losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE') ?? '').split('\n').filter(Boolean),
  cgroup: () => folders('/sys/fs/cgroup', 3),
  folder: () => [
    ...entries('/var/lib', 2),
    ...['/srv', '/opt', '/run', '/var/log', '/usr/libexec'].flatMap((path) => entries(path, 1)),
  ],
};

/**
 * Processes that nobody waits for: children of init and of this process, as daemons are that were left behind. What other shells of a busy
 * machine run for a moment is not in it.
 */
function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const parent = Number(fields[1]);
        return (parent === 1 || parent === process.pid) && command ? [command.slice(0, 200)] : [];
      } catch {
        return []; // ended while we looked
      }
    });
}

/** Settings that are answers, counters or random change by themselves. */
const RESTLESS =
  /^(fs\/(dentry-state|file-nr|inode-nr|inode-state|quota|binfmt_misc)|kernel\/(random|ns_last_pid|pty\/nr|tainted)|net\/netfilter\/nf_conntrack_count|vm\/(drop_caches|compact_memory|stat_refresh))/;

function sysctls(): string[] {
  const root = '/proc/sys';
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !RESTLESS.test(path.slice(root.length + 1)))
    .flatMap((path) => {
      try {
        return [`${path.slice(root.length + 1)} = ${readFileSync(path, 'utf8').trim()}`];
      } catch {
        return []; // may only be written
      }
    });
}

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').filter(Boolean);

function entries(folder: string, depth: number): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return [path, ...(depth > 1 && entry.isDirectory() ? entries(path, depth - 1) : [])];
  });
}

const folders = (root: string, depth: number): string[] =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(root, entry.name), ...(depth > 1 ? folders(join(root, entry.name), depth - 1) : [])]);
