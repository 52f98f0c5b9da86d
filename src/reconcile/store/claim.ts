/** Whether a claim is one that many nodes can mount, and why it is not there yet. */
import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import { kinds } from '../../kube/kinds.ts';
import { at } from '../../kube/object.ts';
import type { Live } from '../../kube/wire.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import type { Hindrance } from '../../resources/conditions.ts';
import type { Store } from '../../resources/kinds.ts';
import type { Context } from '../context.ts';

export interface ClaimFault {
  /** Only another claim can help. */
  readonly fault?: Hindrance;
  /** Why it cannot be mounted yet. */
  readonly waits?: string;
}

type Claim = Live<V1PersistentVolumeClaim>;

/** One that was found right lately is not asked for; an API that does not answer says nothing of it. */
export async function claimFault(
  { client }: Context,
  { metadata: { namespace, uid }, spec }: Store,
  { checked }: Pick<FarmRuntime, 'checked'>,
  signal: AbortSignal,
): Promise<ClaimFault> {
  const { claimName, readOnly = false } = spec.persistentVolumeClaim ?? {};
  if (claimName === undefined) return {};
  const asked = `${uid} ${claimName} ${readOnly}`;
  if (checked.has(`claim ${claimName}`, asked)) return {};
  const found = await client.get<Claim>(at(kinds.PersistentVolumeClaim, namespace, claimName), { signal });
  if (!found.ok)
    return found.error.code === 'NotFound'
      ? { waits: `claim ${claimName} is not in namespace ${namespace}: make it, or correct spec.persistentVolumeClaim` }
      : {};
  const judged = judgeClaim(claimName, readOnly, found.value);
  if (!judged.fault && judged.waits === undefined) checked.note(`claim ${claimName}`, asked);
  return judged;
}

/** Pure. */
export function judgeClaim(
  name: string,
  readOnly: boolean,
  { spec, status }: Pick<Claim, 'spec' | 'status'>,
): ClaimFault {
  const { accessModes = [], volumeMode } = spec ?? {};
  const stalled = (message: string): ClaimFault => ({ fault: { kind: 'stalled', reason: 'ClaimNotShared', message } });
  if (volumeMode === 'Block')
    return stalled(
      `claim ${name} is a block device: name a claim with volumeMode Filesystem, or use spec.iscsi or spec.fc`,
    );
  const modes = accessModes.join(', ');
  if (!accessModes.includes('ReadWriteMany') && !accessModes.includes('ReadOnlyMany'))
    return stalled(
      `claim ${name} has accessModes ${modes}, and several nodes mount it: it needs ReadWriteMany or ReadOnlyMany`,
    );
  if (!accessModes.includes('ReadWriteMany') && !readOnly)
    return stalled(`claim ${name} has accessModes ${modes}: set spec.persistentVolumeClaim.readOnly: true`);
  if (status?.phase === 'Bound') return {};
  return {
    waits: `claim ${name} is ${status?.phase ?? 'Pending'}: no volume is bound to it; kubectl describe pvc ${name} tells why`,
  };
}
