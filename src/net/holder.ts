/** Who has a port, in words. The kernel's tables know the user; the process is known where /proc shows it: to a pod, its own alone. Linux. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { ipv4Bytes } from '../kit/address.ts';

interface Port {
  readonly protocol: 'UDP' | 'TCP';
  readonly address: string;
  readonly port: number;
}

export async function holderOf(port: Port): Promise<string> {
  const table = `/proc/net/${port.protocol.toLowerCase()}`;
  const texts = await Promise.all([table, `${table}6`].map((path) => readFile(path, 'utf8').catch(() => '')));
  const [held] = texts.flatMap((text) => heldIn(text, port) ?? []);
  const known = held && (await processWith(held.inode));
  if (known) return known;
  const user = held ? ` of user ${held.user}` : '';
  return `a process${user}, which ss -${port.protocol === 'UDP' ? 'u' : 't'}lpn 'sport = :${port.port}' names on the node`;
}

/** Of the text of a table of /proc/net: the socket that keeps others from this port. */
export function heldIn(
  table: string,
  { address, port }: Pick<Port, 'address' | 'port'>,
): { readonly user: string; readonly inode: string } | undefined {
  // The kernel writes an address as the number that its bytes are on this machine: little-endian.
  const wanted = ipv4Bytes(address)?.reverse().toString('hex').toUpperCase() ?? '';
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , , , , , user = '', , inode = '0'] = line.trim().split(/\s+/);
    const [host = '', hex = ''] = local.split(':');
    const meets = host === wanted || ALL.test(host) || ALL.test(wanted);
    if (meets && Number.parseInt(hex, 16) === port && inode !== '0') return { user, inode };
  }
  return undefined;
}

const ALL = /^0+$/;

async function processWith(inode: string): Promise<string | undefined> {
  for (const id of await namesIn('/proc')) {
    const folder = `/proc/${id}/fd`;
    const fds = /^\d+$/.test(id) ? await namesIn(folder) : [];
    const links = await Promise.all(fds.map((fd) => readlink(`${folder}/${fd}`).catch(() => '')));
    if (!links.includes(`socket:[${inode}]`)) continue;
    const [command = ''] = (await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')).split('\0');
    return `${basename(command)} (process ${id})`;
  }
  return undefined;
}

const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);
