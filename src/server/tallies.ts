/** What a server counts as it happens: steps of boots, logins, reads that waited, packets from nowhere. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { DhcpEvent } from '../dhcp/session.ts';
import type { BootDecision, RefusalCode } from '../farm/boot.ts';
import type { HttpBootEvent } from '../httpboot/server.ts';
import { BAD_SOURCES, type BadSource } from '../net/source.ts';
import type { LoginAnswer } from '../stream/login.ts';
import type { Refusal } from '../stream/packet.ts';
import { REFUSALS } from '../stream/wire.ts';
import type { TftpEvent } from '../tftp/server.ts';

/** What a machine that asks to boot is told: whether it boots, or why not. */
const BOOT_DECISIONS = [
  'boot',
  'unknown',
  'unavailable',
  'OtherSite',
  'Disabled',
  'NoVDisk',
  'VDiskDisabled',
  'NoVersion',
  'NoContent',
  'Suspended',
] as const satisfies readonly (RefusalCode | 'boot' | 'unknown' | 'unavailable')[];
const LOGIN_ANSWERS = ['ticket', 'redirect', ...(Object.keys(REFUSALS) as readonly Refusal[])] as const;
/** A login asks the replica once; devices ask again after seconds. */
const LOGIN_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3];
/** From a solid-state disk to one that is failing: a device reads elsewhere after half a second. */
const READ_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Steps of a boot, by protocol. */
const BOOT_EVENTS = {
  dhcp: ['answered', 'silent', 'malformed', 'dropped'],
  tftp: ['started', 'ended', 'refused', 'silent', 'malformed', 'dropped'],
  http: ['script', 'config', 'file', 'noFile', 'silent'],
} as const satisfies {
  readonly dhcp: readonly DhcpEvent['kind'][];
  readonly tftp: readonly TftpEvent['kind'][];
  readonly http: readonly HttpBootEvent['kind'][];
};
type BootEvents = typeof BOOT_EVENTS;
const UDP = ['dhcp', 'tftp', 'peers'] as const;

interface Told {
  readonly kind: BootDecision['kind'];
  /** Where it is refused. */
  readonly code?: RefusalCode;
}

export interface Tallies {
  /** One step of a boot: protocol and what happened. */
  bootEvent<Protocol extends keyof BootEvents>(protocol: Protocol, event: BootEvents[Protocol][number]): void;
  /** What a machine that asks to boot was told; undefined: the farm's data could not be asked. */
  booted(decision: Told | undefined): void;
  /** A LOGIN that was looked at. */
  loggedIn(answer: LoginAnswer, seconds: number): void;
  /** A READ that waited for its disk. */
  read(seconds: number): void;
  /** Counts the packets of a UDP protocol that came from where nobody is. */
  badSource(protocol: (typeof UDP)[number]): (why: BadSource) => void;
}

export function tallies(registry: Registry): Tallies {
  const registers = [registry];
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
  const decisions = new Counter({
    name: 'bootfarm_boot_decisions_total',
    help: 'Machines that asked for their boot script, by what they were told: to boot, or why not',
    labelNames: ['decision'],
    registers,
  });
  const logins = new Counter({
    name: 'bootfarm_login_answers_total',
    help: 'LOGINs that were looked at, by their answer: a ticket, another server, or why not',
    labelNames: ['answer'],
    registers,
  });
  const loginSeconds = new Histogram({
    name: 'bootfarm_login_seconds',
    help: 'How long a LOGIN was looked at',
    buckets: LOGIN_SECONDS,
    registers,
  });
  const readSeconds = new Histogram({
    name: 'bootfarm_stream_disk_read_seconds',
    help: 'How long a READ waited for its disk; those whose blocks are in memory are not in it',
    buckets: READ_SECONDS,
    registers,
  });
  // What never happened is 0, not absent: a rate needs two points.
  for (const decision of BOOT_DECISIONS) decisions.inc({ decision }, 0);
  for (const answer of LOGIN_ANSWERS) logins.inc({ answer }, 0);
  for (const [protocol, events] of Object.entries(BOOT_EVENTS))
    for (const event of events) boots.inc({ protocol, event }, 0);
  for (const protocol of UDP) for (const reason of BAD_SOURCES) dropped.inc({ protocol, reason }, 0);
  return {
    bootEvent: (protocol, event) => boots.inc({ protocol, event }),
    booted: (decision) => decisions.inc({ decision: decision?.code ?? decision?.kind ?? 'unavailable' }),
    loggedIn: (answer, seconds) => {
      logins.inc({ answer: answer.kind === 'refuse' ? answer.code : answer.kind });
      loginSeconds.observe(seconds);
    },
    read: (seconds) => readSeconds.observe(seconds),
    badSource: (protocol) => (reason) => dropped.inc({ protocol, reason }),
  };
}
