/** Metrics of a server; names begin with `bootfarm_`. Numbers are read when they are scraped. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { PeerLoad } from '../../control/peer.ts';
import type { BadSource } from '../../net/source.ts';
import { COUNTERS, type Counters } from '../../stream/counters.ts';

export interface ServerNumbers {
  readonly stream: () => Counters | undefined;
  readonly load: () => Pick<PeerLoad, 'devices' | 'booting' | 'loadPercent'>;
  readonly servedCopies: () => number;
  readonly journalEntries: () => number;
  readonly databaseReachable: () => boolean;
}

export interface ServerMetrics {
  readonly registry: Registry;
  /** One step of a boot: protocol and what happened. */
  bootEvent(protocol: 'dhcp' | 'tftp' | 'http', event: string): void;
  /** Counts the packets of a UDP protocol that came from where nobody is. */
  badSource(protocol: 'dhcp' | 'tftp' | 'peers'): (why: BadSource) => void;
}

export function serverMetrics(numbers: ServerNumbers): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  gauge('bootfarm_server_devices', 'Devices that stream from this server', () => numbers.load().devices);
  gauge(
    'bootfarm_server_booting_devices',
    'Devices that began to stream within the last minute',
    () => numbers.load().booting,
  );
  gauge('bootfarm_server_load_percent', 'Load as the peers are told', () => numbers.load().loadPercent);
  gauge('bootfarm_server_served_copies', 'Versions that this server has an UpToDate copy of', numbers.servedCopies);
  gauge('bootfarm_server_journal_entries', 'Entries that wait for the database', numbers.journalEntries);
  gauge('bootfarm_server_database_reachable', '1 while the farm database answers', () =>
    Number(numbers.databaseReachable()),
  );
  new Gauge({
    name: 'bootfarm_stream_total',
    help: 'Counters of the stream: packets, bytes, reads, drops by reason, since the start',
    labelNames: ['counter'],
    registers,
    collect() {
      const counters = numbers.stream();
      for (const counter of COUNTERS) this.set({ counter }, counters?.[counter] ?? 0);
    },
  });
  const boots = new Counter({
    name: 'bootfarm_boot_events_total',
    help: 'Steps of booting machines, by protocol and event',
    labelNames: ['protocol', 'event'],
    registers,
  });
  const dropped = new Counter({
    name: 'bootfarm_udp_dropped_total',
    help: 'Packets from an address or port that nobody can have, by protocol and what was wrong; the stream counts its own',
    labelNames: ['protocol', 'reason'],
    registers,
  });
  return {
    registry,
    bootEvent: (protocol, event) => boots.inc({ protocol, event }),
    badSource: (protocol) => (reason) => dropped.inc({ protocol, reason }),
  };
}
