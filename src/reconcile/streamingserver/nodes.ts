/** Which nodes a pool's servers are on: sticky, for their copies, journals and addresses are there. Pure. */
import type { StreamingServer } from '../../resources/kinds.ts';

export interface NodeFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key?: string; readonly value?: string; readonly effect?: string }[];
  readonly unschedulable: boolean;
  readonly ready: boolean;
  /** Since when it is not Ready, Unix milliseconds. */
  readonly notReadySince?: number;
}

/** A server that is there: its Deployment is the record. */
export interface Placed {
  readonly node: string;
  readonly devices: number;
}

export interface NodeChoice {
  /** In the order of their names. */
  readonly nodes: readonly string[];
  /** How many servers find no node. */
  readonly lacking: number;
}

type Placement = Pick<StreamingServer['spec']['placement'], 'nodeSelector' | 'tolerations'>;
type Toleration = Placement['tolerations'][number];

const tolerates = (tolerations: readonly Toleration[], taint: NodeFacts['taints'][number]): boolean =>
  tolerations.some(
    ({ key, operator = 'Equal', value = '', effect }) =>
      (effect === undefined || effect === taint.effect) &&
      (key === undefined ? operator === 'Exists' : key === taint.key) &&
      (operator === 'Exists' || value === (taint.value ?? '')),
  );

const SCHEDULING: readonly string[] = ['NoSchedule', 'NoExecute'];
/** A taint that only keeps new pods away, as a cordon puts one, moves no server: its copies and devices are there. */
const RUNNING: readonly string[] = ['NoExecute'];

/** May a server be here, as far as taints of these effects say? A node that is only NotReady keeps its own: that is the matter of replaceAfter. */
export function fits({ nodeSelector = {}, tolerations }: Placement, node: NodeFacts, effects = SCHEDULING): boolean {
  const own = (taint: NodeFacts['taints'][number]): boolean =>
    taint.key === 'node.kubernetes.io/not-ready' || taint.key === 'node.kubernetes.io/unreachable';
  return (
    Object.entries(nodeSelector).every(([key, value]) => node.labels[key] === value) &&
    node.taints.every((taint) => !effects.includes(taint.effect ?? '') || own(taint) || tolerates(tolerations, taint))
  );
}

/**
 * Keeps what is there while its node fits and is not dead for longer than `replaceAfterMs`; scales in where the fewest devices are;
 * scales out to Ready, schedulable nodes that have no server of the farm yet (`taken`), by name, those with a server of another farm (`crowded`)
 * last: no two servers have room for their ports on one.
 */
export function chooseNodes(
  want: number,
  placement: Placement,
  placed: readonly Placed[],
  nodes: readonly NodeFacts[],
  { taken, crowded }: { readonly taken: ReadonlySet<string>; readonly crowded: ReadonlySet<string> },
  replaceAfterMs: number,
  now: number,
): NodeChoice {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const stays = ({ node: name }: Placed): boolean => {
    const node = byName.get(name);
    if (!node || !fits(placement, node, RUNNING)) return false;
    return node.ready || now - (node.notReadySince ?? now) < replaceAfterMs;
  };
  const kept = placed
    .filter(stays)
    .sort((a, b) => b.devices - a.devices || (a.node < b.node ? -1 : 1))
    .slice(0, want)
    .map(({ node }) => node);
  const free = nodes
    .filter((node) => node.ready && !node.unschedulable && fits(placement, node))
    .filter(({ name }) => !kept.includes(name) && !taken.has(name))
    .map(({ name }) => name)
    .sort((a, b) => Number(crowded.has(a)) - Number(crowded.has(b)) || (a < b ? -1 : 1));
  // A victim of this scale-in is no candidate of it: it is not in `free` only when it is still placed and unwanted.
  const added = free.slice(0, Math.max(0, want - kept.length));
  const chosen = [...kept, ...added].sort();
  return { nodes: chosen, lacking: want - chosen.length };
}
