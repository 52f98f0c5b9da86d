/**
 * What `kubectl wait`, kstatus (Flux, Helm) and Argo CD see of a pool that changes: a small cluster that goes on by one step at each reconcile, and
 * after each reconcile what they would say. The pool's own plan moves it.
 */
import { expect, test } from '@jest/globals';
import { aStreamingServer } from '../../../test/builders/resources.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { StreamingServer } from '../../resources/kinds.ts';
import { planServers, progressOf, type ServerFacts } from './plan.ts';
import { poolStatus } from './status.ts';

/** What a server goes through after its Deployment was changed or its pod ended. */
const STATES = {
  /** The Deployment's controller has not seen it; the old pod serves. */
  asked: { updated: false, rolledOut: false, podReady: true, answers: true },
  /** The old pod drains. */
  draining: { updated: false, rolledOut: false, podReady: false, answers: true },
  /** No pod is left, and the last answer is of a second ago. */
  ended: { updated: true, rolledOut: false, podReady: false, answers: true },
  starting: { updated: true, rolledOut: false, podReady: false, answers: false },
  /** Its pod is Ready, and it was not asked since. */
  ready: { updated: true, rolledOut: true, podReady: true, answers: false },
  serving: { updated: true, rolledOut: true, podReady: true, answers: true },
  /** Its pod is there and never Ready again. */
  dead: { updated: true, rolledOut: false, podReady: false, answers: false },
} as const;
type State = keyof typeof STATES;
const NEXT: Readonly<Partial<Record<State, State>>> = {
  ...{ asked: 'draining', draining: 'ended', ended: 'starting', starting: 'ready', ready: 'serving' },
};
const NOW = new Date('2026-11-23T12:00:00Z');

interface Server {
  state: State;
  settings: number;
  ending: boolean;
}

class Cluster {
  pool: StreamingServer;
  readonly servers = new Map<string, Server>();
  settings = 1;
  generation = 1;

  constructor() {
    this.pool = aStreamingServer({ spec: { replicas: 2 } });
    for (const node of ['a', 'b']) this.servers.set(node, { state: 'serving', settings: 1, ending: false });
    this.observe();
  }

  patch(spec: Partial<StreamingServer['spec']>, isTemplate: boolean): void {
    this.generation++;
    if (isTemplate) this.settings++;
    this.pool = { ...this.pool, spec: { ...this.pool.spec, ...spec } };
  }

  observe(): void {
    const want = this.pool.spec.replicas ?? 2;
    const nodes = ['a', 'b', 'c'].slice(0, want);
    const there = [...this.servers].map(([node, server]) => this.#facts(node, server));
    const steps = planServers({ nodes, lacking: 0 }, there, 'Automatic');
    for (const { kind, node } of steps) {
      const server = this.servers.get(node);
      if (kind === 'Apply' && !server)
        this.servers.set(node, { state: 'starting', settings: this.settings, ending: false });
      if (kind === 'Apply' && server && server.settings !== this.settings)
        this.servers.set(node, { state: 'asked', settings: this.settings, ending: false });
      if (kind === 'Remove' && server) this.servers.set(node, { ...server, ending: true });
    }
    const metadata = { ...this.pool.metadata, generation: this.generation };
    const findings = {
      want,
      lacking: 0,
      devices: 0,
      servers: [...this.servers].filter(([, { ending }]) => !ending).map(([node, server]) => this.#view(node, server)),
      progress: progressOf(nodes, there, 'Automatic'),
      held: steps.flatMap((step) => (step.kind === 'Hold' ? [step] : [])),
      stuck: new Map<string, string>(),
    };
    this.pool = { ...this.pool, metadata, status: poolStatus({ ...this.pool, metadata }, findings, NOW) };
  }

  goOn(): void {
    for (const [node, server] of this.servers) {
      if (server.ending && server.state === 'starting') this.servers.delete(node);
      else if (server.ending) server.state = server.state === 'serving' ? 'draining' : 'starting';
      else server.state = NEXT[server.state] ?? server.state;
    }
  }

  get isDone(): boolean {
    const { replicas = 2 } = this.pool.spec;
    const all = [...this.servers.values()];
    return all.length === replicas && all.every(({ state, settings }) => settings === this.settings && !NEXT[state]);
  }

  #facts(node: string, { state, settings, ending }: Server): ServerFacts {
    const { answers, ...facts } = STATES[state];
    return {
      ...{ node, ...facts, ending, current: settings === this.settings, streaming: answers, nodeAway: false },
      ...{ devices: 0, journalEntries: 0, stores: ['images'], storesLost: [], copies: [], hashing: false },
    };
  }

  #view(name: string, { state }: Server): ServerView {
    const status = { state: 'Streaming', faults: [], devices: 0, address: '10.77.0.1', stores: [], copies: [] };
    return {
      ...{ name, pool: 'main', site: 'default', address: '10.77.0.1', controlPort: 6911, message: '' },
      reachable: STATES[state].answers,
      status: status as unknown as NonNullable<ServerView['status']>,
    };
  }
}

const conditionOf = ({ status }: StreamingServer, type: string) =>
  status?.conditions?.find((found) => found.type === type);
const isTrue = (pool: StreamingServer, type: string): boolean => conditionOf(pool, type)?.status === 'True';

/** As cli-utils' kstatus has it for a custom resource; Argo CD's script for these kinds asks the same questions. */
const kstatus = (pool: StreamingServer): 'Failed' | 'InProgress' | 'Current' => {
  if (pool.status?.observedGeneration !== pool.metadata.generation) return 'InProgress';
  if (isTrue(pool, 'Stalled')) return 'Failed';
  return isTrue(pool, 'Reconciling') || !isTrue(pool, 'Ready') ? 'InProgress' : 'Current';
};

const template = { drain: { timeout: '60s' } };
test.each<{ what: string; does: (cluster: Cluster) => void; seen: string[]; reasons?: string[] }>([
  { what: 'nothing', does: () => {}, seen: ['Current'] },
  {
    what: 'a field of the template',
    does: (cluster) => cluster.patch(template, true),
    seen: ['InProgress', 'Current'],
    reasons: ['RollingOut', 'ServersStarting', 'Settled'],
  },
  {
    what: 'a field of no template',
    does: (cluster) => cluster.patch({ placement: { tolerations: [], replaceAfter: '20m' } }, false),
    seen: ['Current'],
  },
  {
    what: 'another image of the operator',
    does: (cluster) => void cluster.settings++,
    seen: ['InProgress', 'Current'],
  },
  {
    what: 'one server more',
    does: (cluster) => cluster.patch({ replicas: 3 }, false),
    seen: ['InProgress', 'Current'],
    reasons: ['ServersStarting', 'Settled'],
  },
  {
    what: 'one server less',
    does: (cluster) => cluster.patch({ replicas: 1 }, false),
    seen: ['InProgress', 'Current'],
    reasons: ['ServersDraining', 'Settled'],
  },
  {
    what: 'a template and a number at once',
    does: (cluster) => cluster.patch({ ...template, replicas: 3 }, true),
    seen: ['InProgress', 'Current'],
  },
  {
    what: 'a server that starts again by itself',
    does: (cluster) => cluster.servers.set('b', { state: 'ended', settings: 1, ending: false }),
    seen: ['Current'],
  },
  {
    what: 'a server that dies',
    does: (cluster) => cluster.servers.set('b', { state: 'dead', settings: 1, ending: false }),
    seen: ['Current'],
  },
  {
    what: 'all servers that start again by themselves: nothing serves',
    does: (cluster) => {
      for (const node of ['a', 'b']) cluster.servers.set(node, { state: 'ended', settings: 1, ending: false });
    },
    seen: ['Current', 'InProgress', 'Current'],
    reasons: ['Settled', 'ServersStarting', 'Settled'],
  },
])('$what: $seen', ({ does, seen, reasons }) => {
  const cluster = new Cluster();
  expect(kstatus(cluster.pool)).toBe('Current');
  does(cluster);
  const said: string[] = [];
  const why: string[] = [];
  const note = (list: string[], word = ''): void => void (list.at(-1) !== word && list.push(word));
  for (let turn = 0; turn < 40; turn++) {
    cluster.observe();
    note(said, kstatus(cluster.pool));
    note(why, conditionOf(cluster.pool, 'Ready')?.reason);
    if (cluster.generation > 1 && kstatus(cluster.pool) === 'Current') expect(cluster.isDone).toBe(true);
    cluster.goOn();
  }
  expect(said).toEqual(seen);
  if (reasons) expect(why).toEqual(reasons);
});

test('one that lost a server says so, and goes on as Ready', () => {
  const cluster = new Cluster();
  cluster.servers.set('b', { state: 'dead', settings: 1, ending: false });
  cluster.observe();
  expect(conditionOf(cluster.pool, 'Degraded')).toMatchObject({ status: 'True', reason: 'ServerUnreachable' });
  expect(conditionOf(cluster.pool, 'Ready')).toMatchObject({ status: 'True', message: '1 of 2 servers stream' });
});
