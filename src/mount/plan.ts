/** What is done so that a volume of this pod is seen on its node: decided from what is mounted. Pure. */
import { type Mount, mountAt } from '../store/mounted.ts';

/** A mount of this pod, and the folder of the node where the same is to be seen. */
export interface Binding {
  readonly from: string;
  readonly to: string;
}

export type Step =
  /** Of what lies on top there. */
  { readonly kind: 'Unmount'; readonly at: string } | ({ readonly kind: 'Bind' } & Binding);

/** What an earlier pod left is taken over where it is the same, and goes where it is not. */
export const stepsToHold = (bindings: readonly Binding[], mounts: readonly Mount[]): readonly Step[] =>
  bindings.flatMap((binding): readonly Step[] => {
    const [source, there] = [mountAt(mounts, binding.from), mountAt(mounts, binding.to)];
    if (source && there && isSame(source, there)) return [];
    return [...stepsToRelease([binding], mounts), { kind: 'Bind', ...binding }];
  });

export const stepsToRelease = (bindings: readonly Binding[], mounts: readonly Mount[]): readonly Step[] =>
  bindings.flatMap(({ to }) =>
    mounts.filter(({ point }) => point === to).map((): Step => ({ kind: 'Unmount', at: to })),
  );

const isSame = (one: Mount, other: Mount): boolean =>
  one.device === other.device && one.root === other.root && one.readOnly === other.readOnly;
