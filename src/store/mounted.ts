/** What is mounted where, as the kernel lists it: asking touches no file system, so nothing here waits for one that hangs. proc(5), `/proc/PID/mountinfo`. */
import { readFileSync } from 'node:fs';

export interface Mount {
  /** No other mount has it while this one is there; one that comes later may. */
  readonly id: string;
  /** Of the mount that it lies on. */
  readonly parent: string;
  /** `major:minor` of its file system, and the folder of that which is mounted. */
  readonly device: string;
  readonly root: string;
  readonly point: string;
  readonly readOnly: boolean;
  /** Its file system is, however it is mounted here. */
  readonly readOnlyItself: boolean;
  /** Type and source of its file system, such as `nfs4 nas:/vdisks`. */
  readonly source: string;
}

/** A line that is not as the kernel writes it is passed over. */
export const parseMounts = (text: string): readonly Mount[] =>
  text.split('\n').flatMap((line) => {
    // Optional fields in between end with a dash.
    const [where = '', what = ''] = line.split(' - ');
    const [id, parent, device, root, point, options] = where.split(' ').map(unescaped);
    if (!id || !parent || !device || !root || !point || !options) return [];
    const [type, from, own] = what.split(' ').map(unescaped);
    const source = `${type} ${from}`;
    const [readOnly, readOnlyItself] = [options, own ?? ''].map((said) => said.split(',').includes('ro'));
    return [
      { id, parent, device, root, point, readOnly: readOnly === true, readOnlyItself: readOnlyItself === true, source },
    ];
  });

/** Blank, tab, line feed and backslash stand there as three octal digits. */
const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Of those that lie on one another the one on top. */
export function mountAt(mounts: readonly Mount[], point: string): Mount | undefined {
  const there = mounts.filter((mount) => mount.point === point);
  return there.findLast(({ id }) => !there.some(({ parent }) => parent === id));
}

/** That a folder lies in, which is named by no link. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const isIn = ({ point }: Mount): boolean => point === '/' || path === point || path.startsWith(`${point}/`);
  const points = mounts.filter(isIn).map(({ point }) => point);
  const longest = points.reduce<string | undefined>(
    (most, point) => (point.length > (most?.length ?? 0) ? point : most),
    undefined,
  );
  return longest === undefined ? undefined : mountAt(mounts, longest);
}

/** Tells one mount from another that comes to its place, as far as the kernel does: it gives numbers again. */
export const mountName = ({ id, device, root, source }: Mount): string => `${id} ${device} ${root} ${source}`;

export const readMounts = (): readonly Mount[] => parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
