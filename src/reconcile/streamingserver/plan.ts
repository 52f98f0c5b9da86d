/** What one look does to the servers of a pool: one live server changes at a time, and none goes before the others serve. Pure. */

/** A server whose Deployment is there, as it is. */
export interface ServerFacts {
  readonly node: string;
  /** Its Deployment asks for the wanted settings. */
  readonly current: boolean;
  /** Its Deployment's controller has made all of that true: one pod, of the newest template, Ready. */
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
}

/**
 * - `Rollout`: it runs other settings until the others serve.
 * - `OnDemand`: it runs other settings because spec.rollout says so.
 * - `Replacement`: it goes when all that stay serve.
 * - `Journal`: it goes when the database has what its journal holds.
 */
export type HoldReason = 'Rollout' | 'OnDemand' | 'Replacement' | 'Journal';

export type Step =
  /** Made, brought to the wanted settings, or repaired. */
  | { readonly is: 'Apply'; readonly node: string }
  | { readonly is: 'Remove'; readonly node: string }
  | { readonly is: 'Hold'; readonly node: string; readonly why: HoldReason };

const serves = ({ rolledOut, streaming, ending }: ServerFacts): boolean => rolledOut && streaming && !ending;
/** Nobody can miss it: what Kubernetes sees and what it says itself agree. */
const isDown = ({ podReady, streaming, devices }: ServerFacts): boolean => !podReady && !streaming && devices === 0;
/** It was told to change and does not serve yet. */
const isChanging = (server: ServerFacts): boolean => server.ending || (server.current && !serves(server));

/**
 * Missing servers are made at once, and dead ones changed or removed at once: nobody misses them. Of those that live at most one is touched a
 * look, and only while every other one serves; one that does not serve may be mended although others do not either.
 * What is decided is seen again at the next look through the Deployments, so that nothing need be remembered.
 */
export function planServers(
  chosen: readonly string[],
  there: readonly ServerFacts[],
  policy: 'Automatic' | 'OnDemand',
): readonly Step[] {
  const byNode = new Map(there.map((server) => [server.node, server]));
  const stays = (server: ServerFacts): boolean => chosen.includes(server.node);
  const steps: Step[] = [];
  let touched = false;

  for (const node of [...chosen].sort()) {
    const server = byNode.get(node);
    if (server?.ending) continue; // made again once it is gone
    if (!server || server.current || isDown(server)) {
      steps.push({ is: 'Apply', node });
      continue;
    }
    if (policy === 'OnDemand') {
      steps.push({ is: 'Hold', node, why: 'OnDemand' });
      continue;
    }
    const others = there.filter((other) => other !== server);
    const restServes = chosen.every(
      (other) => other === node || others.some((one) => one.node === other && serves(one)),
    );
    const free: boolean = !touched && !others.some(isChanging) && (restServes || !serves(server));
    touched ||= free;
    steps.push(free ? { is: 'Apply', node } : { is: 'Hold', node, why: 'Rollout' });
  }

  const leaving = there
    .filter((server) => !stays(server) && !server.ending)
    .sort((a, b) => a.devices - b.devices || (a.node < b.node ? -1 : 1));
  const restServes = chosen.every((node) => there.some((server) => server.node === node && serves(server)));
  for (const server of leaving) {
    const { node } = server;
    if (isDown(server)) {
      steps.push({ is: 'Remove', node });
    } else if (server.journalEntries > 0) {
      steps.push({ is: 'Hold', node, why: 'Journal' });
    } else if (!touched && restServes && !there.some(({ ending }) => ending)) {
      touched = true;
      steps.push({ is: 'Remove', node });
    } else steps.push({ is: 'Hold', node, why: 'Replacement' });
  }
  return steps;
}
