/** Why a pod does not start, in words that stay the same while Kubernetes tries again. Pure. */
import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import type { Live } from '../kube/wire.ts';
import type { Informers } from './context.ts';
import { FARM_LABEL } from './names.ts';

type Pod = Live<V1Pod>;
type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

/** Reasons of a waiting container that no time mends; the kubelet's and the CRI's own words. */
const PULLS = ['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull'];
const CREATES = ['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError'];

/** What keeps this pod from running; undefined while it runs, or merely takes its time. */
export function podFault({ metadata, status = {} }: Pod): string | undefined {
  if (metadata.deletionTimestamp) return undefined;
  const { phase, reason, message, conditions, initContainerStatuses, containerStatuses } = status;
  const say = (fault: string): string => `pod ${metadata.name}: ${fault}`;
  if (phase === 'Failed') return say([reason ?? 'Failed', message].filter(Boolean).join(': '));
  const scheduled = conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') return say(scheduled.message ?? 'no node takes it');
  for (const container of [...(initContainerStatuses ?? []), ...(containerStatuses ?? [])]) {
    const fault = containerFault(container);
    if (fault) return say(fault);
  }
  return undefined;
}

/** It is on its node, and what has to be there before its containers is not. Why, Kubernetes tells in Events alone. */
export function volumeWait({ metadata, status = {} }: Pod): string | undefined {
  const waits = (status.containerStatuses ?? []).some(({ state }) => state?.waiting?.reason === 'ContainerCreating');
  return waits && !metadata.deletionTimestamp
    ? `pod ${metadata.name} waits for its volume: kubectl describe pod ${metadata.name} tells why`
    : undefined;
}

function containerFault({ name, image, ready, state, lastState }: ContainerStatus): string | undefined {
  const { reason = '', message } = state?.waiting ?? {};
  if (PULLS.includes(reason)) return `image ${image} cannot be pulled: correct its name, or give imagePullSecrets`;
  if (CREATES.includes(reason)) return `container ${name}: ${reason}${message ? `: ${message}` : ''}`;
  const { exitCode, reason: why, message: last } = state?.terminated ?? lastState?.terminated ?? {};
  // It runs again and again, and says why it ends: so it is said between its ends, too.
  if (last && exitCode !== 0 && !ready) return `container ${name} ends again and again: ${last.trim()}`;
  if (reason !== 'CrashLoopBackOff') return undefined;
  return `container ${name} ends again and again (${why ?? 'Error'}, exit code ${exitCode ?? 'unknown'}): kubectl logs --previous tells why`;
}

/** The scheduler's words. */
const PORTS_TAKEN = /didn't have free ports/;

/** The same, with who has the ports where another farm has a server on the node. */
export const withHolder = (fault: string, node: string, holder: string | undefined): string =>
  holder !== undefined && PORTS_TAKEN.test(fault)
    ? `${fault}: the server of ${holder} on ${node} has them: keep the pools apart by spec.placement.nodeSelector`
    : fault;

/** A pod that may not even be made: a quota, a policy or the namespace's pod security refuses it. */
export const refusedPod = ({ status }: Live<V1Deployment>): string | undefined =>
  status?.conditions?.find((found) => found.type === 'ReplicaFailure' && found.status === 'True')?.message;

/** Pods of a farm that carry this label with this value. */
export const podsOf = (
  { pods }: Informers,
  namespace: string,
  farm: string,
  label: string,
  value: string,
): readonly Pod[] =>
  pods
    .list()
    .filter(
      ({ metadata }) =>
        metadata.namespace === namespace &&
        metadata.labels?.[FARM_LABEL] === farm &&
        metadata.labels?.[label] === value,
    );
