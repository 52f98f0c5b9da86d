/** The edit of a VDisk by which its files go to another Store. Pure: resources in, a merge patch of the spec out. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Store, VDisk } from './kinds.ts';
import type { Edit } from './release.ts';

export type MoveFault = Fault<'StoreMissing' | 'OtherFarm' | 'NamesTaken'>;

export interface MoveFacts {
  readonly vdisk: Pick<VDisk, 'metadata' | 'spec'>;
  /** The Store of that name; absent: there is none. */
  readonly store: Pick<Store, 'metadata' | 'spec' | 'status'> | undefined;
  /** Those of its namespace. */
  readonly vdisks: readonly Pick<VDisk, 'metadata' | 'spec'>[];
}

/** `removeOld`: what lies where it was goes, when the new Store is proved to have all of it. */
export function moveTo(
  { vdisk: { metadata, spec }, store, vdisks }: MoveFacts,
  { to, removeOld }: { readonly to: string; readonly removeOld: boolean },
): Result<Edit, MoveFault> {
  const { farmRef, storeRef, fileName } = spec;
  if (!store) return fail('StoreMissing', `namespace ${metadata.namespace} has no Store ${to}: name one that it has`);
  if (store.spec.farmRef.name !== farmRef.name)
    return fail('OtherFarm', `Store ${to} is of Farm ${store.spec.farmRef.name}, and the VDisk of ${farmRef.name}`);
  const other = vdisks.find(
    (one) => one.metadata.name !== metadata.name && one.spec.storeRef.name === to && one.spec.fileName === fileName,
  );
  if (other)
    return fail(
      'NamesTaken',
      `VDisk ${other.metadata.name} has files of that name (${fileName}) in Store ${to}: move it first, or make a new VDisk with another fileName`,
    );
  const isSame = storeRef.name === to;
  const movePolicy = removeOld ? 'Delete' : 'Retain';
  const isSaid = spec.movePolicy === movePolicy;
  const servers = (store.status.servers ?? []).map(({ name }) => name);
  const offer = servers.length === 0 ? 'no server offers it yet' : `${servers.join(', ')} offer it`;
  return ok({
    patch: { ...(isSame ? {} : { storeRef: { name: to } }), ...(isSaid ? {} : { movePolicy }) },
    says:
      `${isSame ? `it is in Store ${to}` : `it goes from Store ${storeRef.name} to Store ${to} (${offer}) while devices read it`}; ` +
      `what lies where it was ${removeOld ? 'goes when that is whole' : 'stays'}`,
  });
}
