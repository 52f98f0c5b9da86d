/** What one look does to the mount pods of a store: a node's server misses it for a moment while its pod is replaced, so one changes at a time. Pure. */

/** A mount pod whose Deployment is there. */
export interface MountFacts {
  readonly node: string;
  /** Its Deployment asks for the wanted settings. */
  readonly current: boolean;
  /** Its one pod is Ready, and of no older template. */
  readonly rolledOut: boolean;
  /** Kubernetes gave up waiting for it. */
  readonly overdue: boolean;
}

export interface MountStep {
  readonly kind: 'Apply' | 'Remove';
  readonly node: string;
}

/** `wanted`: nodes; those of `kept` are left as they are. */
export function planMounts(
  wanted: readonly string[],
  kept: readonly string[],
  there: readonly MountFacts[],
): readonly MountStep[] {
  const nodes = [...wanted].sort();
  const byNode = new Map(there.map((mount) => [mount.node, mount]));
  const mayChange = (mount: MountFacts): boolean => !mount.current && mount.rolledOut;
  const isChanging = ({ current, rolledOut, overdue }: MountFacts): boolean => current && !rolledOut && !overdue;
  const [first] = there.some(isChanging) ? [] : nodes.filter((node) => byNode.get(node)?.current === false);
  return [
    ...nodes
      .filter((node) => {
        const mount = byNode.get(node);
        return !mount || !mayChange(mount) || node === first;
      })
      .map((node) => ({ kind: 'Apply', node }) as const),
    ...there
      .filter(({ node }) => !wanted.includes(node) && !kept.includes(node))
      .map(({ node }) => ({ kind: 'Remove', node }) as const)
      .sort((a, b) => (a.node < b.node ? -1 : 1)),
  ];
}
