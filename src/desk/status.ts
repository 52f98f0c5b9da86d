/**
 * Where a farm stands: Farm → Store → VDisk → StreamingServer → server, each in a line, and at the end the first thing that stands in the way and
 * what to do. Pure.
 */
import type { Condition, FarmAnswer, PoolAnswer, ServerAnswer, StoreAnswer, VDiskAnswer } from './answers.ts';

export const conditionOf = (conditions: readonly Condition[], type: string): Condition | undefined =>
  conditions.find((condition) => condition.type === type);

export interface FarmSeen {
  readonly farm: FarmAnswer;
  readonly stores: readonly StoreAnswer[];
  readonly vdisks: readonly VDiskAnswer[];
  readonly pools: readonly PoolAnswer[];
  readonly servers: readonly ServerAnswer[];
}

/** From well to bad: it serves; it serves, and something is worse than wanted, or goes on; it serves not. */
export type Health = 'Well' | 'Worse' | 'Bad';

export interface Step {
  readonly kind: 'Farm' | 'Store' | 'VDisk' | 'StreamingServer' | 'Server';
  readonly name: string;
  readonly health: Health;
  /** In a word: Ready, Degraded, Streaming, … */
  readonly state: string;
  readonly message: string;
}

export interface FarmStatus {
  readonly namespace: string;
  readonly farm: string;
  readonly isHealthy: boolean;
  readonly steps: readonly Step[];
  /** The first of the worst. Absent: nothing. */
  readonly inTheWay?: { readonly step: Step; readonly todo: string };
}

/** The order is that of cause and effect: what comes first makes bad what comes behind it. */
export function statusOf(seen: FarmSeen): FarmStatus {
  const { farm } = seen;
  const steps = [
    ofFarm(farm),
    ...seen.stores.map((store) => ofResource('Store', store)),
    ...seen.vdisks.map(ofVDisk),
    ...seen.pools.map((pool) => ofResource('StreamingServer', pool)),
    ...seen.servers.map(ofServer),
    ...ofNothing(seen),
  ];
  const first = steps.find(({ health }) => health === 'Bad') ?? steps.find(({ health }) => health === 'Worse');
  return {
    ...{ namespace: farm.namespace, farm: farm.name, isHealthy: first === undefined, steps },
    ...(first ? { inTheWay: { step: first, todo: todoOf(farm, first) } } : {}),
  };
}

interface Resource {
  readonly name: string;
  readonly conditions: readonly Condition[];
}

function ofResource(kind: Step['kind'], { name, conditions }: Resource): Step {
  const step = (health: Health, state: string, said: Condition | undefined): Step => ({
    ...{ kind, name, health, state, message: said ? `${said.reason}: ${said.message}` : '' },
  });
  const ready = conditionOf(conditions, 'Ready');
  const isTrue = (type: string): Condition | undefined => {
    const condition = conditionOf(conditions, type);
    return condition?.status === 'True' ? condition : undefined;
  };
  if (!ready) return { ...step('Bad', 'Unknown', undefined), message: 'the operator has not looked at it yet' };
  const stalled = isTrue('Stalled');
  if (ready.status !== 'True') return step('Bad', stalled ? 'Stalled' : 'NotReady', stalled ?? ready);
  const degraded = isTrue('Degraded');
  if (degraded) return step('Worse', 'Degraded', degraded);
  const faulty = conditions.find(({ type, status }) => WANTED.includes(type) && status === 'False');
  if (faulty) return step('Worse', `not ${faulty.type}`, faulty);
  return step('Well', 'Ready', undefined);
}

/** Beside Ready: where one of them is False something is worse than wanted. */
const WANTED = ['DatabaseReachable', 'ReplicaInSync', 'Accessible', 'Replicated', 'Balanced', 'FailoverCapacity'];

function ofFarm(farm: FarmAnswer): Step {
  const step = ofResource('Farm', farm);
  if (!farm.suspend || step.health === 'Bad') return step;
  return { ...step, health: 'Worse', state: 'Suspended', message: 'no machine may log in while spec.suspend is true' };
}

function ofVDisk(vdisk: VDiskAnswer): Step {
  // A person said so: nothing is wrong.
  if (!vdisk.enabled) return { kind: 'VDisk', name: vdisk.name, health: 'Well', state: 'Disabled', message: '' };
  return ofResource('VDisk', vdisk);
}

const SERVER_HEALTH: Readonly<Record<string, Health>> = { Streaming: 'Well', Draining: 'Worse', Starting: 'Worse' };

function ofServer({ name, state, message }: ServerAnswer): Step {
  const health = SERVER_HEALTH[state] ?? 'Bad';
  return {
    ...{ kind: 'Server', name, state, message },
    health: health === 'Well' && message !== '' ? 'Worse' : health,
  };
}

/** What nobody made yet. */
function ofNothing({ stores, vdisks, pools, servers }: FarmSeen): readonly Step[] {
  const missing = (kind: Step['kind'], message: string): Step => ({
    ...{ kind, name: '-', health: 'Bad', state: 'Missing', message },
  });
  return [
    ...(stores.length === 0 ? [missing('Store', 'no Store names this farm: nothing says where images lie')] : []),
    ...(vdisks.length === 0 ? [missing('VDisk', 'no VDisk names this farm: there is nothing to boot')] : []),
    ...(pools.length === 0 ? [missing('StreamingServer', 'no StreamingServer names this farm: nobody serves')] : []),
    ...(pools.length > 0 && servers.length === 0 ? [missing('Server', 'the pools have no server yet')] : []),
  ];
}

const RESOURCES: Readonly<Record<Step['kind'], string>> = {
  Farm: 'farm.bootfarm.io',
  Store: 'store.bootfarm.io',
  VDisk: 'vdisk.bootfarm.io',
  StreamingServer: 'streamingserver.bootfarm.io',
  Server: 'streamingserver.bootfarm.io',
};

/** Messages of the operator name the way out themselves; this is where more is to be seen, or what to make. */
function todoOf({ namespace }: FarmAnswer, { kind, name, state }: Step): string {
  if (state === 'Missing' && kind !== 'Server')
    return `apply a ${kind} in namespace ${namespace}: deploy/samples has one`;
  if (kind === 'Farm' && state === 'Suspended') return 'set spec.suspend of the Farm to false';
  if (state === 'Unknown' && kind !== 'Server')
    return 'wait a minute; if it stays so, the log of the operator says why';
  if (kind === 'Server' && state === 'Unreachable')
    return `look at its node: \`kubectl get node ${name}\`, \`kubectl get pods -n ${namespace} -o wide\``;
  if (kind === 'Server')
    return `do what its message says; more: \`kubectl get pods -n ${namespace} -o wide\`, \`kubectl describe ${RESOURCES[kind]} -n ${namespace}\``;
  if (kind === 'VDisk') return `do what its message says; where each version lies: \`bootfarm replication ${name}\``;
  return `do what its message says; more: \`kubectl describe ${RESOURCES[kind]} -n ${namespace} ${name}\``;
}
