/** What a run of attacks has shown, and whether that is good enough. Pure: figures in, a table out. */
import { AUTO_ADD } from '../../src/farm/model.ts';

/** Answers to one kind of honest question within one phase. */
export interface Answers {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly errors: number;
  /** The first few errors. */
  readonly said: readonly string[];
}

/** Seconds until it was up. */
export type Boot = number | 'never up';

export interface ServerSeen {
  readonly name: string;
  readonly ended: boolean;
  /** Listeners that threw and were started anew. */
  readonly crashes: number;
  readonly rssMiB: number;
  /** Of one processor. */
  readonly cpuPercent: number;
  readonly devices: number;
  readonly journalEntries: number;
  /** Packets that it sent to the other server. */
  readonly toOtherPerSecond: number;
  /** What it dropped or refused, by counter. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface PhaseSeen {
  readonly name: string;
  readonly honest: Readonly<Record<string, Answers>>;
  readonly servers: readonly ServerSeen[];
  /** Machines whose time was over in this phase: seconds until they were up, or that they were not. */
  readonly boots: readonly Boot[];
  /** Devices that the farm has more than at the phase's begin. */
  readonly devicesAdded: number;
  /** Packets or questions a second, by attack, of all attackers together. */
  readonly attackers: Readonly<Record<string, number>>;
  /** Of the process that measures: its event loop's own delay. */
  readonly clientLagMs: number;
}

export interface Row {
  readonly phase: string;
  readonly what: string;
  readonly bar: string;
  readonly seen: string;
  readonly ok: boolean;
}

/** These have many samples in a phase, so that their p99 says something; of the others each must be answered. */
const TIMED = ['read', 'login', 'boot'] as const;
/** Issue 9: honest p99 less than doubles. */
const P99_TIMES = 2;
/** What a server may hold more than without attackers: the bound of the contract of TCP edges (test/contract/tcp.ts). */
const RSS_MORE_MIB = 256;
/** Two servers ping each other four times a second each way. */
const BETWEEN_PER_SECOND = 100;
/** AutoAdd: what two servers add in two of their minutes, which a phase may touch. */
const DEVICES_ADDED = 2 * 2 * AUTO_ADD.maxPerMinute;

export interface Bars {
  /** Devices of the farm before the first phase: more than these no server may count, and no more entries may wait. */
  readonly devices: number;
}

export function verdict(baseline: PhaseSeen, phases: readonly PhaseSeen[], bars: Bars): Row[] {
  return [...judge(baseline, baseline, bars), ...phases.flatMap((phase) => judge(phase, baseline, bars))];
}

function judge(phase: PhaseSeen, baseline: PhaseSeen, { devices }: Bars): Row[] {
  const row = (what: string, bar: string, seen: string | number, ok: boolean): Row => ({
    ...{ phase: phase.name, what, bar, seen: String(seen), ok },
  });
  const most = (what: string, bar: number, seen: number): Row => row(what, `≤ ${bar}`, seen, seen <= bar);
  return [
    ...Object.entries(phase.honest).flatMap(([kind, answers]) => [
      row(`${kind}: answered`, 'all', answeredOf(answers), answers.count > 0 && answers.errors === 0),
      ...(phase === baseline ? [] : timed(kind, answers, baseline.honest[kind]).map((one) => row(...one))),
    ]),
    ...phase.servers.flatMap((server) => [
      row(`${server.name}: runs`, 'yes', server.ended ? 'ended' : 'yes', !server.ended),
      most(`${server.name}: listeners that threw`, 0, server.crashes),
      most(`${server.name}: RSS, MiB`, rssOf(baseline, server.name) + RSS_MORE_MIB, server.rssMiB),
      most(`${server.name}: devices counted`, devices, server.devices),
      most(`${server.name}: journal entries`, devices, server.journalEntries),
      most(`${server.name}: packets a second to the other server`, BETWEEN_PER_SECOND, server.toOtherPerSecond),
    ]),
    ...(phase === baseline ? [] : [row('attackers: packets or questions a second', 'each sends', ...sentOf(phase))]),
    ...phase.boots
      .map((boot) => booted(boot, phase === baseline ? undefined : baseline.boots[0]))
      .map((one) => row(...one)),
    most('devices added', DEVICES_ADDED, phase.devicesAdded),
  ];
}

function timed(kind: string, answers: Answers, before: Answers | undefined): [string, string, string, boolean][] {
  if (!TIMED.some((name) => name === kind) || !before) return [];
  const barMs = P99_TIMES * before.p99Ms;
  return [[`${kind}: p99, ms`, `< ${barMs.toFixed(1)}`, answers.p99Ms.toFixed(1), answers.p99Ms < barMs]];
}

/** The emulated processor of a machine is slower than any real one: how long it takes in peace is what it is compared with. */
function booted(boot: Boot, before: Boot | undefined): [string, string, string, boolean] {
  const bar = typeof before === 'number' ? P99_TIMES * before : Number.POSITIVE_INFINITY;
  const up = typeof boot === 'number';
  return [
    'a machine boots',
    bar === Number.POSITIVE_INFINITY ? 'up' : `< ${bar.toFixed(1)} s`,
    up ? `${boot} s` : boot,
    up && boot < bar,
  ];
}

/** They get what is left of the processors: one that gets nothing attacks nobody. */
function sentOf({ attackers }: PhaseSeen): [string, boolean] {
  const rates = Object.entries(attackers);
  const silent = rates.filter(([, rate]) => rate === 0).map(([name]) => name);
  const total = rates.reduce((sum, [, rate]) => sum + rate, 0);
  return [[total, ...silent.map((name) => `${name} none`)].join(', '), total > 0 && silent.length === 0];
}

const rssOf = (phase: PhaseSeen, server: string): number =>
  phase.servers.find(({ name }) => name === server)?.rssMiB ?? 0;

const answeredOf = ({ count, errors, said }: Answers): string =>
  errors === 0 ? `${count}` : `${count}, and ${errors} not: ${said.join('; ')}`;

/** Of one kind of question, what its latencies say. */
export function summary(latenciesMs: readonly number[], errors: readonly string[]): Answers {
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  return {
    count: sorted.length,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? 0,
    errors: errors.length,
    said: errors.slice(0, 3),
  };
}

/** Of sorted values: the smallest that so many are not above. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;

/** A table that a person reads: what was missed, or all. */
export function tableOf(rows: readonly Row[]): string {
  const columns = ['phase', 'what', 'bar', 'seen'] as const;
  const lines = [Object.fromEntries(columns.map((name) => [name, name])), ...rows] as readonly Row[];
  const widths = columns.map((name) => Math.max(...lines.map((line) => line[name].length)));
  return lines
    .map((line, at) =>
      [at === 0 ? '  ' : line.ok ? '✓ ' : '✗ ', ...columns.map((name, n) => line[name].padEnd((widths[n] ?? 0) + 2))]
        .join('')
        .trimEnd(),
    )
    .join('\n');
}
