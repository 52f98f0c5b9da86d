/** `make attack`: a farm that serves, and everything that somebody on its network can do to it. README.md says what is measured and what must hold. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { getPriority, loadavg, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openLan } from '../e2e/machine/lan.ts';
import { inNamespace } from '../e2e/machine/run.ts';
import { ATTACKS } from './attacks.ts';
import { type FieldOptions, schedule } from './field.ts';
import type { HonestOptions, HonestSeen } from './honest.ts';
import {
  ATTACKERS,
  attackersAddresses,
  attackersMacs,
  bootEachMinute,
  deviceTotal,
  HONEST,
  honestDevices,
  LAN,
  openSite,
  PLACES,
  PORTS,
  SERVERS,
  type Site,
} from './site.ts';
import { type Boot, type PhaseSeen, type ServerSeen, summary, tableOf, verdict } from './verdict.ts';

const USAGE = `node test/attack/attack.ts [--minutes 10] [--only NAME,…] [--short] [--json]

  --minutes N     of all phases together; the set-up comes before
  --only NAME,…   these attacks alone, of: ${Object.keys(ATTACKS).join(', ')}
  --short         a baseline, and all attacks together, without machines that boot: about a minute
  --json          what was seen, on standard output
`;

/** The honest ones have machines of their own in the field: they must not wait for a processor behind what is attacked. */
const HONEST_NICE = -10;
/** Between two phases: what is held ends, buckets fill again. */
const PAUSE_MS = 3_000;
/** An attacker has loaded its program; it is not measured yet. */
const LOADED_MS = 60_000;
/** One that has no processor to say what it sent is ended without. */
const TELL_MS = 10_000;
/** Attackers have started, logged in and hold what they hold. */
const WARM_UP_MS = 2_000;
/** Until an attacker ends by itself, beyond its phase: the longest boot, and slow answers. */
const ATTACKER_MORE_SECONDS = 120;
const LOOK_EVERY_MS = 2_000;
const ASK_EVERY_MS = 500;
const COMPLAINTS = 20;
const BASELINE_SHARE = 0.1;
const TOGETHER_SHARE = 0.2;
const SHORT = { baselineSeconds: 12, togetherSeconds: 25 };
/** Of a run beyond its phases: then it is ended from outside. */
const SET_UP_MS = 300_000;

interface Phase {
  readonly name: string;
  readonly attacks: readonly string[];
  readonly seconds: number;
  readonly autoAdd?: boolean;
  /** It goes on until a machine is up, or was given up. */
  readonly untilBoot?: boolean;
}

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    /** Of this program to itself. */
    inside: { type: 'boolean', default: false },
  },
});

function phases(): Phase[] {
  const names = flags.only?.split(',') ?? Object.keys(ATTACKS);
  const unknown = names.find((name) => !(name in ATTACKS));
  if (unknown !== undefined) throw new Error(`no attack ${unknown}: there are ${Object.keys(ATTACKS).join(', ')}`);
  const together = { name: 'all together', attacks: names };
  if (flags.short)
    return [
      { name: 'baseline', attacks: [], seconds: SHORT.baselineSeconds },
      { ...together, seconds: SHORT.togetherSeconds },
    ];
  const total = 60 * Number(flags.minutes);
  const alone: Omit<Phase, 'seconds'>[] = names.map((name) => ({ name, attacks: [name] }));
  if (names.includes('boots')) alone.push({ name: 'boots, AutoAdd', attacks: ['boots'], autoAdd: true });
  const seconds = Math.round((total * (1 - BASELINE_SHARE - TOGETHER_SHARE)) / alone.length);
  return [
    { name: 'baseline', attacks: [], seconds: Math.round(total * BASELINE_SHARE), untilBoot: true },
    ...alone.map((phase) => ({ ...phase, seconds })),
    ...(names.length > 1 ? [{ ...together, seconds: Math.round(total * TOGETHER_SHARE) }] : []),
  ];
}

/** A process that dies with this one, and the JSON lines that it prints. */
function begin(namespace: string, program: string, options: object) {
  const [command, ...enter] = inNamespace(namespace);
  const args = [...enter, process.execPath, join(import.meta.dirname, program), JSON.stringify(options)];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async next<T>(): Promise<T> {
      const line = await lines.next();
      if (line.done) throw new Error(`${program} in ${namespace} ended`);
      return JSON.parse(line.value) as T;
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

type Begun = ReturnType<typeof begin>;

function beginHonest(site: Site): Begun {
  const options: HonestOptions = { servers: SERVERS, ports: PORTS, devices: honestDevices, image: site.image };
  const honest = begin(HONEST.namespace, 'honest.ts', options);
  setPriority(honest.child.pid ?? 0, Math.max(-20, getPriority() + HONEST_NICE));
  return honest;
}

function beginAttackers({ attacks, seconds }: Phase): Begun[] {
  if (attacks.length === 0) return [];
  return ATTACKERS.map((attacker) => {
    const own = { address: attacker.address, addresses: attackersAddresses(attacker), macs: attackersMacs(attacker) };
    const options: FieldOptions = {
      attacks,
      seconds: seconds + ATTACKER_MORE_SECONDS,
      servers: SERVERS,
      ports: PORTS,
      ...own,
    };
    return begin(attacker.namespace, 'attacker.ts', options);
  });
}

/** What the cluster asks of a server: readiness as a kubelet does, its status as the operator does. */
class Questions {
  readonly #timer: NodeJS.Timeout;
  #seen = new Map<string, { ms: number[]; errors: string[] }>();

  constructor({ servers }: Site) {
    let turn = 0;
    this.#timer = setInterval(() => {
      const server = servers[turn++ % servers.length];
      if (!server) return;
      void this.#ask('readyz', async () => {
        const answer = await server.telemetry('/readyz');
        if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
      });
      void this.#ask('status', () => server.status());
    }, ASK_EVERY_MS);
  }

  async #ask(kind: string, ask: () => Promise<unknown>): Promise<void> {
    const seen = this.#seen;
    const began = performance.now();
    const of = seen.get(kind) ?? { ms: [], errors: [] };
    seen.set(kind, of);
    await ask().then(
      () => of.ms.push(performance.now() - began),
      (thrown: unknown) => of.errors.push(String(thrown)),
    );
  }

  take(): PhaseSeen['honest'] {
    const seen = this.#seen;
    this.#seen = new Map();
    return Object.fromEntries([...seen].map(([kind, { ms, errors }]) => [kind, summary(ms, errors)]));
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Of several looks in one phase: of what grows the sum, of the rest the most. */
function worst(looks: readonly (readonly ServerSeen[])[]): ServerSeen[] {
  const [first = []] = looks;
  return first.map(({ name }, index) => {
    const all = looks.flatMap((look) => look[index] ?? []);
    const most = (of: (seen: ServerSeen) => number): number => Math.max(...all.map(of));
    const drops: Record<string, number> = {};
    for (const seen of all)
      for (const [what, count] of Object.entries(seen.drops)) drops[what] = (drops[what] ?? 0) + count;
    return {
      ...{
        name,
        ended: all.some(({ ended }) => ended),
        crashes: all.reduce((sum, { crashes }) => sum + crashes, 0),
        drops,
      },
      ...{ rssMiB: most(({ rssMiB }) => rssMiB), devices: most(({ devices }) => devices) },
      cpuPercent: most(({ cpuPercent }) => cpuPercent),
      journalEntries: most(({ journalEntries }) => journalEntries),
      toOtherPerSecond: most(({ toOtherPerSecond }) => toOtherPerSecond),
    };
  });
}

interface Scene {
  readonly site: Site;
  readonly honest: Begun;
  readonly questions: Questions;
  /** What became of each machine so far. */
  readonly boots: readonly Boot[];
}

async function runPhase(phase: Phase, { site, honest, questions, boots }: Scene): Promise<PhaseSeen> {
  process.stderr.write(`${phase.name}: ${phase.seconds} s, load ${loadavg()[0]?.toFixed(1)}\n`);
  if (phase.autoAdd) await site.unknownDevices('AutoAdd');
  const before = await site.deviceCount();
  const attackers = beginAttackers(phase);
  const take = async (): Promise<HonestSeen> => {
    honest.child.stdin?.write('\n');
    return honest.next<HonestSeen>();
  };
  try {
    await Promise.all(attackers.map((attacker) => Promise.race([attacker.next(), delay(LOADED_MS)])));
    await delay(WARM_UP_MS);
    await Promise.all([take(), site.look()]);
    questions.take();
    const bootsBefore = boots.length;
    const looks: ServerSeen[][] = [];
    const endMs = performance.now() + phase.seconds * 1_000;
    while (performance.now() < endMs || (phase.untilBoot && boots.length === 0)) {
      await delay(Math.min(LOOK_EVERY_MS, Math.max(100, endMs - performance.now())));
      looks.push(await site.look());
    }
    const [{ answers, lagMs }, asked] = [await take(), questions.take()];
    for (const { child } of attackers) {
      schedule('other', child.pid); // so that it hears this
      child.stdin?.write('\n');
    }
    const sent = await Promise.all(
      attackers.map((attacker) => Promise.race([attacker.next<Record<string, number>>(), delay(TELL_MS, {})])),
    );
    const rates: Record<string, number> = {};
    for (const one of sent) for (const [name, rate] of Object.entries(one)) rates[name] = (rates[name] ?? 0) + rate;
    return {
      ...{ name: phase.name, honest: { ...answers, ...asked }, servers: worst(looks), boots: boots.slice(bootsBefore) },
      devicesAdded: (await site.deviceCount()) - before,
      ...{ attackers: rates, clientLagMs: lagMs },
    };
  } finally {
    for (const { child } of attackers) await end(child);
    if (phase.autoAdd) await site.unknownDevices('Ignore');
  }
}

function tell({ name, honest, servers, boots, attackers, clientLagMs, devicesAdded }: PhaseSeen): void {
  const ms = (value: number): string => value.toFixed(1);
  const lines = [
    ...Object.entries(honest).map(
      ([kind, { count, errors, p50Ms, p99Ms, maxMs }]) =>
        `${kind} ${count}${errors ? ` (${errors} not answered)` : ''}: p50 ${ms(p50Ms)} p99 ${ms(p99Ms)} max ${ms(maxMs)} ms`,
    ),
    ...servers.map(
      (server) =>
        `${server.name}: CPU ${server.cpuPercent} %, ${server.rssMiB} MiB, ${server.devices} devices, journal ${server.journalEntries}, to the other ${server.toOtherPerSecond}/s; ${JSON.stringify(server.drops)}`,
    ),
    `sent a second: ${JSON.stringify(attackers)}; boots: ${boots.join(', ') || 'none ended'}; devices added ${devicesAdded}; the client's own delay ${ms(clientLagMs)} ms`,
  ];
  process.stderr.write(`${name}\n${lines.map((line) => `  ${line}\n`).join('')}`);
}

/** The first lines of a log that are no mere information, and what it serves. */
const complaints = (output: string): string =>
  output
    .split('\n')
    .filter((line) => /"level":"(warn|error)"|served copies changed|device refused/.test(line) || /^[^{]/.test(line))
    .slice(0, COMPLAINTS)
    .map((line) => `${line.slice(0, 400)}\n`)
    .join('');

async function inside(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-attack-'));
  const over = new AbortController();
  const site = await openSite();
  const honest = beginHonest(site);
  const questions = new Questions(site);
  const boots: Boot[] = [];
  let machines: Promise<void> = Promise.resolve();
  try {
    const { logged } = await honest.next<{ logged: number }>();
    process.stderr.write(`${logged} honest devices of ${honestDevices.length} read\n`);
    if (!flags.short) machines = bootEachMinute(folder, over.signal, (boot) => void boots.push(boot));
    const seen: PhaseSeen[] = [];
    for (const phase of phases()) {
      seen.push(await runPhase(phase, { site, honest, questions, boots }));
      tell(seen.at(-1) as PhaseSeen);
      await delay(PAUSE_MS);
    }
    const [baseline, ...attacked] = seen;
    const rows = verdict(baseline as PhaseSeen, attacked, { devices: deviceTotal });
    const missed = rows.filter(({ ok }) => !ok);
    if (missed.length > 0) for (const server of site.servers) process.stderr.write(complaints(server.output));
    if (flags.json) console.log(JSON.stringify({ phases: seen, rows }));
    else console.log(tableOf(rows));
    console.log(
      missed.length === 0 ? `all ${rows.length} bars hold` : `${missed.length} of ${rows.length} bars missed`,
    );
    return missed.length === 0;
  } finally {
    over.abort();
    questions.close();
    await end(honest.child);
    await machines;
    await site.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In the namespace of the LAN, so that all that is asked here is asked from there. */
async function outside(): Promise<boolean> {
  const lan = await openLan(LAN, PLACES);
  try {
    const [command, ...enter] = inNamespace(LAN);
    const args = [...enter, process.execPath, import.meta.filename, '--inside', ...process.argv.slice(2)];
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    const limit = setTimeout(() => child.kill('SIGKILL'), SET_UP_MS + 90_000 * Number(flags.minutes));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill('SIGKILL')); // the LAN is removed
    const [code] = await once(child, 'exit');
    clearTimeout(limit);
    return code === 0;
  } finally {
    await lan.close();
  }
}

if (flags.help) process.stdout.write(USAGE);
else {
  const held = await (flags.inside ? inside() : outside());
  process.exit(held ? 0 : 1);
}
