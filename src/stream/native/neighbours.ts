/**
 * Who holds a send buffer. What is sent to a neighbour that does not answer ARP waits in the kernel for up to three seconds, at most
 * `net.ipv4.neigh.*.unres_qlen_bytes` (208 KiB) a neighbour, and all of it counts against the socket that every other device's answers leave by: as many
 * silent neighbours as fit into the buffer stop the thread. So when the buffer fills, the kernel's table says who is silent, and they get no more.
 */

/** ATF_COM: the neighbour has answered. */
const COMPLETE = 0x2;

/** Addresses that /proc/net/arp knows and that do not answer. */
export function silentNeighbours(table: string): ReadonlySet<string> {
  const silent = new Set<string>();
  for (const line of table.split('\n').slice(1)) {
    const [address, , flags] = line.trim().split(/\s+/);
    if (address && flags && (Number(flags) & COMPLETE) === 0) silent.add(address);
  }
  return silent;
}
