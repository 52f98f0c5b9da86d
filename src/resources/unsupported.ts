/** What the schema names for later releases and no code of this one does: asked for, it is refused by name, instead of being passed over. Pure. */
import type { KindName } from './kinds.ts';

interface Later {
  /** From `spec`, in dots; through each item of a list. */
  readonly path: string;
  /** The values that this release does all the same. */
  readonly only?: readonly (string | boolean)[];
  /** A map with nothing in it, as a default leaves it, asks for nothing. */
  readonly mayBeEmpty?: true;
  readonly instead: string;
}

export const UNSUPPORTED: Readonly<Record<KindName, readonly Later[]>> = {
  Farm: [
    { path: 'replica.external', instead: 'leave spec.replica out, or use embedded' },
    ...['boot.verbose', 'sites.boot.verbose'].map((path) => ({
      path,
      only: [false],
      instead: 'leave it out: the script, the client and the kernel say on the screen what they do',
    })),
    { path: 'collections.template', mayBeEmpty: true, instead: 'leave it out, and give each device its properties' },
    { path: 'security.stream', only: ['Authenticated', 'Trusted'], instead: 'use Authenticated' },
  ],
  Store: [{ path: 'writeCache', instead: 'leave it out: writes stay in the memory of the device' }],
  StreamingServer: [{ path: 'autoscaling', instead: 'set spec.replicas' }],
  VDisk: [
    { path: 'writeCache.type', only: ['DeviceRAM'], instead: 'use DeviceRAM' },
    { path: 'loadBalancing.rebalance', instead: 'leave it out: devices move when a server drains or is lost' },
    { path: 'deletionPolicy', only: ['Retain'], instead: 'use Retain, and remove the files yourself' },
    { path: 'os.firmware', instead: 'use linux' },
  ],
};

/** Names the first, and what to do; undefined when this release does all that is asked for. */
export function unsupported(kind: KindName, spec: object): string | undefined {
  for (const { path, only = [], mayBeEmpty, instead } of UNSUPPORTED[kind]) {
    const asked = path
      .split('.')
      .reduce(membersOf, [spec])
      .find((value) => !only.some((done) => done === value) && !(mayBeEmpty && isEmpty(value)));
    if (asked === undefined) continue;
    const named = only.length > 0 ? `spec.${path} ${String(asked)}` : `spec.${path}`;
    return `${named} is not supported in this release: ${instead}`;
  }
  return undefined;
}

/** Of each of these, and of each item of those that are lists; what is absent is left out. */
const membersOf = (values: readonly unknown[], name: string): readonly unknown[] =>
  values.flat().flatMap((value) => (isMap(value) && value[name] !== undefined ? [value[name]] : []));

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isEmpty = (value: unknown): boolean => isMap(value) && Object.keys(value).length === 0;
