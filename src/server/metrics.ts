/** Metrics of a server; names begin with `bootfarm_`. Numbers are read when they are scraped. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { PeerLoad } from '../control/peer.ts';
import { PULL_STATES, type Pulls } from '../store/pulls.ts';
import { COUNTERS, type Counter as Counted, type Counters, type DropReason } from '../stream/counters.ts';
import type { Buffers } from '../stream/transport.ts';
import { processMetrics } from '../telemetry/process.ts';
import { type Surroundings, surroundingsMetrics } from './surroundings.ts';
import { type Tallies, tallies } from './tallies.ts';

export interface ServerNumbers extends Surroundings {
  readonly stream: () => Counters | undefined;
  readonly buffers: () => Buffers | undefined;
  readonly load: () => Pick<PeerLoad, 'devices' | 'booting' | 'loadPercent'>;
  readonly servedCopies: () => number;
  readonly journalEntries: () => number;
  /** What comes of the files that this server lacks. */
  readonly pulls: () => Pulls;
  /** Chunks that read otherwise than before, since the start. */
  readonly rottenChunks: () => number;
  /** On files of its stores. */
  readonly jobs: (state: (typeof JOB_STATES)[number]) => number;
  readonly databaseReachable: () => boolean;
}

const JOB_STATES = ['Queued', 'Running'] as const;

/** A family of the stream's counters: those of one unit, told apart by labels. */
interface Family {
  readonly help: string;
  readonly labels?: readonly string[];
  readonly of: readonly (readonly [counter: Counted, labels: Readonly<Record<string, string>>])[];
}

const DROPS = COUNTERS.filter((counter): counter is DropReason => counter.startsWith('drop'));
const REFUSED = COUNTERS.filter((counter) => counter.startsWith('refused'));

/** Each counter of the stream is in one family. */
const STREAM: Readonly<Record<string, Family>> = {
  bootfarm_stream_packets_total: {
    help: 'Packets of the stream',
    labels: ['direction'],
    of: [
      ['packetsIn', { direction: 'in' }],
      ['packetsOut', { direction: 'out' }],
    ],
  },
  bootfarm_stream_bytes_total: {
    help: 'Bytes of these packets, UDP payload',
    labels: ['direction'],
    of: [
      ['bytesIn', { direction: 'in' }],
      ['bytesOut', { direction: 'out' }],
    ],
  },
  bootfarm_stream_reads_total: { help: 'READs that were answered with data', of: [['reads', {}]] },
  bootfarm_stream_read_bytes_total: { help: 'Bytes of vDisks in these answers', of: [['readBytes', {}]] },
  bootfarm_stream_bad_reads_total: {
    help: 'Reads that devices say were answered twice by a wrong tag: a copy here is rotten, or somebody forges packets',
    of: [['badReads', {}]],
  },
  bootfarm_stream_answers_total: {
    help: 'Other answers: WAIT, ERROR, UNKNOWN and MOVE',
    labels: ['type'],
    of: [
      ['waits', { type: 'WAIT' }],
      ['readErrors', { type: 'ERROR' }],
      ['unknowns', { type: 'UNKNOWN' }],
      ['moves', { type: 'MOVE' }],
    ],
  },
  bootfarm_stream_logins_total: { help: 'LOGINs that were looked at', of: [['logins', {}]] },
  bootfarm_stream_attaches_total: { help: 'ATTACHes that opened a session', of: [['attaches', {}]] },
  bootfarm_stream_dropped_total: {
    help: 'Packets that were not answered, by why',
    labels: ['reason'],
    of: DROPS.map((counter) => [counter, { reason: counter.slice('drop'.length) }]),
  },
  bootfarm_stream_refused_total: {
    help: 'LOGINs that were refused before they were looked at, and ATTACHes, by why',
    labels: ['reason'],
    of: REFUSED.map((counter) => [counter, { reason: counter.slice('refused'.length) }]),
  },
  bootfarm_stream_gso_fallbacks_total: {
    help: 'Answers that the kernel would not cut into segments',
    of: [['gsoFallbacks', {}]],
  },
  bootfarm_stream_turns_total: { help: 'Turns of the threads of the stream', of: [['turns', {}]] },
};

export interface ServerMetrics extends Tallies {
  readonly registry: Registry;
}

/** Files of versions that this server takes from others. */
function copyMetrics(registry: Registry, { pulls, rottenChunks }: ServerNumbers): void {
  const registers = [registry];
  const counter = (name: string, help: string, value: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };
  counter('bootfarm_copy_bytes_copied_total', 'Bytes of files that came from other servers', () => pulls().copiedBytes);
  counter(
    'bootfarm_copy_bad_sources_total',
    'Servers that were left because they gave what is wrong',
    () => pulls().blamed,
  );
  counter(
    'bootfarm_copy_verify_errors_total',
    'Chunks of files (64 KiB) that changed while size and time did not',
    rottenChunks,
  );
  new Gauge({
    name: 'bootfarm_copy_files',
    help: 'Files that this server lacks and takes from others, by how far they are',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of PULL_STATES) this.set({ state }, pulls().pulls.filter((pull) => pull.state === state).length);
    },
  });
  new Gauge({
    name: 'bootfarm_copy_seconds_left',
    help: 'Until all files that come now are here; 0 while none comes',
    registers,
    collect() {
      this.set(Math.max(0, ...pulls().pulls.map(({ secondsLeft = 0 }) => secondsLeft)));
    },
  });
}

export function serverMetrics(numbers: ServerNumbers): ServerMetrics {
  const registry = processMetrics('server');
  const registers = [registry];
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
  copyMetrics(registry, numbers);
  surroundingsMetrics(registry, numbers);
  gauge('bootfarm_server_journal_entries', 'Entries that wait for the database', numbers.journalEntries);
  gauge('bootfarm_server_database_reachable', '1 while the farm database answers', () =>
    Number(numbers.databaseReachable()),
  );
  new Gauge({
    name: 'bootfarm_work_jobs',
    help: 'Jobs on files of stores that wait or run (`bootfarm vdisk jobs`)',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of JOB_STATES) this.set({ state }, numbers.jobs(state));
    },
  });
  for (const [name, { help, labels = [], of }] of Object.entries(STREAM))
    new Counter({
      name,
      help,
      labelNames: labels,
      registers,
      collect() {
        const counters = numbers.stream();
        this.reset();
        for (const [counter, labelled] of of) this.inc(labelled, counters?.[counter] ?? 0);
      },
    });
  gauge(
    'bootfarm_stream_receive_buffer_bytes',
    'What the kernel gave to the receive buffers of the stream, as it accounts',
    () => numbers.buffers()?.receiveBytes ?? 0,
  );
  new Counter({
    name: 'bootfarm_stream_receive_buffer_drops_total',
    help: 'Packets of the stream that found no room in the receive buffer',
    registers,
    collect() {
      this.reset();
      this.inc(numbers.buffers()?.receiveDrops ?? 0);
    },
  });
  return { registry, ...tallies(registry) };
}
