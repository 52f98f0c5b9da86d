/** What one reconcile does to the servers of a pool: one live server changes at a time, and none goes before the others serve what it serves. Pure. */

/** A server whose Deployment is there, as it is. */
export interface ServerFacts {
  readonly node: string;
  /** Its Deployment asks for the wanted settings. */
  readonly current: boolean;
  /** Its Deployment's controller has seen what is asked, and no pod of an older template is left. */
  readonly updated: boolean;
  /** The same, and its one pod is Ready. */
  readonly rolledOut: boolean;
  /** A pod of it is Ready, of whatever template. */
  readonly podReady: boolean;
  /** It says that it streams, and has no fault. */
  readonly streaming: boolean;
  /** Devices that stream from it, as far as it can be asked. */
  readonly devices: number;
  /** Sessions that it could not write to the database yet; they lie on its node. */
  readonly journalEntries: number;
  /** Its Deployment is being deleted. */
  readonly ending: boolean;
  /** Its node is there and does not answer Kubernetes; the server may stream on. What is asked of it happens when the node is back. */
  readonly nodeAway: boolean;
  /** Stores that it can reach, and those that it should and cannot. */
  readonly stores: readonly string[];
  readonly storesLost: readonly string[];
  /** Whole copies that it has: vDisk, version and digest in one word. */
  readonly copies: readonly string[];
  /** The digest of a copy is being computed: it may come to serve it. */
  readonly hashing: boolean;
}

/**
 * - `Rollout`: it runs other settings until the others serve what it serves.
 * - `OnDemand`: it runs other settings because spec.rollout says so.
 * - `Replacement`: it goes when those that stay serve what it serves.
 * - `Journal`: it goes when the database has what its journal holds.
 * - `NodeAway`: it changes or goes when its node is back.
 */
export type HoldReason = 'Rollout' | 'OnDemand' | 'Replacement' | 'Journal' | 'NodeAway';

export type Step =
  /** Made, brought to the wanted settings, or repaired. */
  | { readonly kind: 'Apply'; readonly node: string }
  | { readonly kind: 'Remove'; readonly node: string }
  | { readonly kind: 'Hold'; readonly node: string; readonly why: HoldReason; readonly waitsFor: readonly string[] };

const serves = ({ rolledOut, streaming, ending }: ServerFacts): boolean => rolledOut && streaming && !ending;
/** Nobody can miss it: what Kubernetes sees and what it says itself agree. Of one whose node is away neither is known. */
const isDown = ({ nodeAway, podReady, streaming, devices }: ServerFacts): boolean =>
  !nodeAway && !podReady && !streaming && devices === 0;
/** It was told to change and does not serve yet. */
const isChanging = (server: ServerFacts): boolean =>
  !server.nodeAway && (server.ending || (server.current && !serves(server)));

const hasLost = (server: ServerFacts, stores: readonly string[]): boolean =>
  stores.some((store) => server.storesLost.includes(store));

/** It serves, and if it runs the new settings it has not come out of them with less than this one has. */
const isProven = (other: ServerFacts, server: ServerFacts): boolean =>
  serves(other) && !(other.current && (other.hashing || hasLost(other, server.stores)));

/** Its stores that others should reach, and none that serves does. */
const lastInStores = ({ stores }: ServerFacts, others: readonly ServerFacts[]): readonly string[] =>
  stores.filter(
    (store) =>
      others.some(({ storesLost }) => storesLost.includes(store)) &&
      !others.some((other) => serves(other) && other.stores.includes(store)),
  );

/** Of which its devices would be left without a server, which only who scales to zero can want. */
const lastCopies = ({ devices, copies }: ServerFacts, others: readonly ServerFacts[]): readonly string[] =>
  others.length === 0 || devices === 0
    ? []
    : copies.filter((copy) => !others.some((other) => serves(other) && other.copies.includes(copy)));

/** `vdisk/version@manifest`, as people say it. */
const copyNamed = (copy: string): string => {
  const [, vdisk, version] = /^(.*)\/(\d+)@/.exec(copy) ?? [];
  return `another copy of version ${version} of vDisk ${vdisk}`;
};

/**
 * Missing servers are made at once, and dead ones changed or removed at once: nobody misses them. Of those that live at most one is touched a
 * reconcile, and only while every other one serves what it serves; one that does not serve may be mended although others do not either. While nodes
 * are `lacking`, no server that lives goes.
 * What is decided is seen again at the next reconcile through the Deployments, so that nothing need be remembered.
 */
export function planServers(
  { nodes: chosen, lacking }: { readonly nodes: readonly string[]; readonly lacking: number },
  there: readonly ServerFacts[],
  policy: 'Automatic' | 'OnDemand',
): readonly Step[] {
  const byNode = new Map(there.map((server) => [server.node, server]));
  const staying = there.filter(({ node }) => chosen.includes(node));
  const steps: Step[] = [];
  let touched: string | undefined;

  for (const node of [...chosen].sort()) {
    const server = byNode.get(node);
    if (server?.ending) continue; // made again once it is gone
    if (!server || server.current || isDown(server)) {
      steps.push({ kind: 'Apply', node });
      continue;
    }
    if (policy === 'OnDemand' || server.nodeAway) {
      steps.push({ kind: 'Hold', node, why: server.nodeAway ? 'NodeAway' : 'OnDemand', waitsFor: [] });
      continue;
    }
    const others = there.filter((other) => other !== server);
    const waitsFor = [...new Set([...changing(others), ...(serves(server) ? missedBy(server, others, chosen) : [])])];
    const free: boolean = touched === undefined && waitsFor.length === 0;
    const first = touched === undefined ? [] : [`server ${touched}, which changes first`];
    if (free) touched = node;
    steps.push(
      free ? { kind: 'Apply', node } : { kind: 'Hold', node, why: 'Rollout', waitsFor: [...first, ...waitsFor] },
    );
  }

  const leaving = there
    .filter(({ node }) => !chosen.includes(node))
    .sort((a, b) => a.devices - b.devices || (a.node < b.node ? -1 : 1));
  const rest = [
    ...(lacking > 0 ? [`${lacking} more nodes`] : []),
    ...chosen
      .filter((node) => !staying.some((one) => one.node === node && serves(one)))
      .map((node) => `server ${node}`),
    ...there.filter(isEnding).map(({ node }) => `server ${node}, which goes first`),
  ];
  for (const server of leaving) {
    const { node } = server;
    if (server.ending) {
      if (server.nodeAway) steps.push({ kind: 'Hold', node, why: 'NodeAway', waitsFor: [] });
    } else if (isDown(server)) {
      steps.push({ kind: 'Remove', node });
    } else if (server.journalEntries > 0) {
      steps.push({ kind: 'Hold', node, why: 'Journal', waitsFor: [] });
    } else {
      const first = touched === undefined ? [] : [`server ${touched}, which changes first`];
      const waitsFor = [...first, ...rest, ...lastCopies(server, staying).map(copyNamed)];
      touched ??= waitsFor.length === 0 ? node : undefined;
      steps.push(
        waitsFor.length === 0 ? { kind: 'Remove', node } : { kind: 'Hold', node, why: 'Replacement', waitsFor },
      );
    }
  }
  return steps;
}

const changing = (others: readonly ServerFacts[]): readonly string[] =>
  others.filter(isChanging).map(({ node }) => `server ${node}`);

/** What devices would miss while it changes. */
const missedBy = (
  server: ServerFacts,
  others: readonly ServerFacts[],
  chosen: readonly string[],
): readonly string[] => [
  ...lastInStores(server, others).map((store) => `another server that reaches store ${store}`),
  ...chosen
    .filter((node) => node !== server.node && !others.some((one) => one.node === node && isProven(one, server)))
    .map((node) => `server ${node}`),
];

/** Where the pool stands on its way to what is wanted, as the Kubernetes API has it. What servers say of themselves is not in it. */
export interface Progress {
  /** Chosen servers that run, or may still run, other settings than the wanted ones, and not by the pool's own wish. */
  readonly outdated: readonly string[];
  /** Chosen servers that can run no other settings. */
  readonly updated: readonly string[];
  /** Of these, the ones whose pod is not Ready. */
  readonly starting: readonly string[];
  /** Servers that are to go and are not gone. One whose node is away holds nobody up: what is asked of it happens when the node is back. */
  readonly leaving: readonly string[];
}

export function progressOf(
  chosen: readonly string[],
  there: readonly ServerFacts[],
  policy: 'Automatic' | 'OnDemand',
): Progress {
  const named = (found: readonly ServerFacts[]): readonly string[] => found.map(({ node }) => node).sort();
  const stays = ({ node, ending }: ServerFacts): boolean => chosen.includes(node) && !ending;
  const isNew = ({ current, updated }: ServerFacts): boolean => current && updated;
  const mayChange = ({ current }: ServerFacts): boolean => current || policy === 'Automatic';
  return {
    outdated: named(there.filter((server) => stays(server) && !isNew(server) && mayChange(server))),
    updated: named(there.filter((server) => stays(server) && isNew(server))),
    starting: named(there.filter((server) => stays(server) && isNew(server) && !server.rolledOut)),
    leaving: named(there.filter((server) => !stays(server) && !server.nodeAway)),
  };
}

/** Nothing of what they ran with before is left: no pod of an older template, and none that goes. */
export const newServers = (chosen: readonly string[], there: readonly ServerFacts[]): readonly string[] =>
  there
    .filter(({ node, current, rolledOut, ending }) => chosen.includes(node) && current && rolledOut && !ending)
    .map(({ node }) => node);

const isEnding = ({ ending, nodeAway }: ServerFacts): boolean => ending && !nodeAway;
