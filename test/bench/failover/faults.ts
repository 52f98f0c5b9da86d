/** What happens to the server that serves, as a table; the others are well. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Server, Site } from './site.ts';

export interface Fault {
  readonly name: string;
  /** Of the longest wait of a read in its round, ms. */
  readonly p99BarMs: number;
  /** Its rounds are of devices that stand by there only. */
  readonly standby?: 'second';
  /** The first server's disk can hang. */
  readonly ownDisk?: true;
  happens(site: Site, disk: Disk): Promise<unknown>;
}

/** Of the first server, where it has one of its own. */
export interface Disk {
  hang(): void;
}

/** IPv4 packets above it do not arrive: a device's own card takes 1,500. */
const NARROW_BYTES = 1_280;
/** By then the devices are served by the second. */
const NEXT_DEATH_MS = 900;
const LOSS = 'numgen random mod 100 < 30';

const first = ({ servers }: Site): Server => servers[0];

export const FAULTS: readonly Fault[] = [
  { name: 'sigkill', p99BarMs: 200, happens: (site) => first(site).kill() },
  { name: 'sigstop', p99BarMs: 200, happens: async (site) => first(site).signal('SIGSTOP') },
  { name: 'linkDown', p99BarMs: 200, happens: (site) => first(site).link('down') },
  {
    name: 'loss30',
    p99BarMs: 500,
    happens: (site) => Promise.all([first(site).dropSent(LOSS), first(site).dropReceived(LOSS)]),
  },
  { name: 'oneWay', p99BarMs: 500, happens: (site) => first(site).dropSent('') },
  { name: 'filteredPort', p99BarMs: 500, happens: (site) => first(site).dropReceived('') },
  { name: 'diskHangs', p99BarMs: 500, ownDisk: true, happens: async (_, disk) => disk.hang() },
  { name: 'mtuFalls', p99BarMs: 500, happens: (site) => first(site).dropSent(`ip length > ${NARROW_BYTES}`) },
  {
    name: 'twoDie',
    p99BarMs: 500,
    standby: 'second',
    happens: async (site) => {
      await first(site).kill();
      await delay(NEXT_DEATH_MS);
      await site.servers[1].kill();
    },
  },
];
