/** What the schema names for later releases and no code of this one does: asked for, it is refused by name, instead of being passed over. Pure. */
import type { KindName } from '../resources/kinds.ts';

interface Later {
  /** From `spec`, in dots. */
  readonly path: string;
  /** The values that this release does all the same. */
  readonly only?: readonly string[];
  readonly instead: string;
}

export const UNSUPPORTED: Readonly<Record<KindName, readonly Later[]>> = {
  Farm: [
    { path: 'versions', instead: 'leave it out: raw images have no chains' },
    { path: 'replica.external', instead: 'leave spec.replica out, or use embedded' },
    { path: 'security.stream', only: ['Authenticated', 'Trusted'], instead: 'use Authenticated' },
  ],
  Store: [
    ...['nfs', 'persistentVolumeClaim', 'iscsi', 'fc'].map((path) => ({ path, instead: 'use spec.local' })),
    { path: 'replication.mode', only: ['Report'], instead: 'use Report: copies are compared, and made by you' },
    ...['parallel', 'bandwidth', 'verifyEvery'].map((name) => ({
      path: `replication.${name}`,
      instead: 'leave it out: copies are compared, and made by you',
    })),
    { path: 'writeCache', instead: 'leave it out: writes stay in the memory of the device' },
  ],
  StreamingServer: [{ path: 'autoscaling', instead: 'set spec.replicas' }],
  VDisk: [
    { path: 'source', instead: 'put the base file into the store' },
    { path: 'writeCache.type', only: ['DeviceRAM'], instead: 'use DeviceRAM' },
    { path: 'loadBalancing.rebalance', instead: 'leave it out: devices move when a server drains or is lost' },
    { path: 'deletionPolicy', only: ['Retain'], instead: 'use Retain, and remove the files yourself' },
    { path: 'os.firmware', instead: 'use linux' },
  ],
};

/** Names the first, and what to do; undefined when this release does all that is asked for. */
export function unsupported(kind: KindName, spec: object): string | undefined {
  for (const { path, only = [], instead } of UNSUPPORTED[kind]) {
    const value = path.split('.').reduce<unknown>(memberOf, spec);
    if (value === undefined || only.some((done) => done === value)) continue;
    const asked = only.length > 0 ? `spec.${path} ${String(value)}` : `spec.${path}`;
    return `${asked} is not supported in this release: ${instead}`;
  }
  return undefined;
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
