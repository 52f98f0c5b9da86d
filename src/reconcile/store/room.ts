/** Whether what a server is to have fits there, before it is copied. Pure. */
import { inUnits } from '../../kit/units.ts';
import type { Store } from '../../resources/kinds.ts';

export type StoreServer = NonNullable<NonNullable<Store['status']>['servers']>[number];

/** Why it may not, and the way out; undefined: it does, or nothing is known of its room. */
export function roomFault({ name, state, needBytes = 0, freeBytes }: StoreServer): string | undefined {
  const isThere = state === 'Accessible' || state === 'ReadOnly';
  if (!isThere || freeBytes === undefined || needBytes <= freeBytes) return undefined;
  return (
    `server ${name} has room for ${inUnits(freeBytes)} and lacks files of up to ${inUnits(needBytes)} (their holes take none): ` +
    'make room there, remove versions that no VDisk needs, or ask for fewer copies (spec.copies of a VDisk)'
  );
}
