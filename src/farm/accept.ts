/** Whether what a server holds of a version may become what is right of it, for `bootfarm vdisk accept`. Pure; the first rule that holds says it. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Copy, FarmSnapshot, Version, VersionFile } from './model.ts';
import { unknownVDisk } from './rollback.ts';

export interface AcceptAsked {
  readonly vdisk: string;
  readonly number: number;
  readonly server: string;
}

/** Of that vDisk. */
export type CopyHeld = Pick<Copy, 'server' | 'version' | 'state' | 'message' | 'manifest'> & {
  readonly files?: readonly VersionFile[];
};

export type AcceptFault = Fault<
  'VDiskUnknown' | 'VersionUnknown' | 'ServerUnknown' | 'Stated' | 'KnownAlready' | 'NotWhole' | 'NotInConflict'
>;

/** What becomes right; `Unchanged`: it is already. */
export function judgeAccept(
  snapshot: FarmSnapshot,
  copies: readonly CopyHeld[],
  { vdisk, number, server }: AcceptAsked,
): Result<NonNullable<Version['content']> | 'Unchanged', AcceptFault> {
  const what = `version ${number} of ${vdisk}`;
  const unknown = unknownVDisk(snapshot, [vdisk]);
  if (unknown) return fail('VDiskUnknown', unknown.message);
  const versions = snapshot.versions.filter((version) => version.vdisk === vdisk);
  const version = versions.find((one) => one.number === number);
  if (!version)
    return fail(
      'VersionUnknown',
      `VDisk ${vdisk} has no version ${number}: it has ${listOf(versions.map((one) => one.number))}`,
    );
  const held = copies.filter((copy) => copy.version === number);
  const copy = held.find((one) => one.server === server);
  if (!copy)
    return fail(
      'ServerUnknown',
      `nothing is recorded of ${what} on ${server}: name one of ${listOf(held.map((one) => one.server))}`,
    );
  const { manifest, state, files } = copy;
  const { content, sha256 } = version;
  if (manifest !== undefined && manifest === (sha256 ?? content?.manifest)) return ok('Unchanged');
  if (sha256 !== undefined)
    return fail(
      'Stated',
      `${what}: spec.versions of VDisk ${vdisk} states its sha256, and that decides: where it is number ${number}, put \`sha256: ${manifest ?? 'the manifest of what is right'}\` in place of \`sha256: ${sha256}\`, or take that line out`,
    );
  if (content) return fail('KnownAlready', known(what, copy, held, content.manifest));
  if (state === 'Conflict' && manifest !== undefined && files) return ok({ manifest, files });
  if (manifest === undefined)
    return fail('NotWhole', `${what} on ${server} is not whole, as far as is known: ${state}${because(copy)}`);
  return fail(
    'NotInConflict',
    `${what} is not in conflict: on ${server} it is ${state}${because(copy)}: what all servers agree on is right by itself`,
  );
}

const because = ({ message }: Pick<Copy, 'message'>): string => message && `: ${message}`;

function known(what: string, { server }: CopyHeld, held: readonly CopyHeld[], right: string): string {
  const holders = held.filter((one) => one.manifest === right).map((one) => one.server);
  return (
    `${what} is not in conflict: right is the manifest ${right}, which ${holders.length > 0 ? `${listOf(holders)} ${holders.length === 1 ? 'has' : 'have'}` : 'no server that answers has'}. ` +
    `A version never becomes another one: where ${server} holds what machines should boot, make it a version of its own there (\`bootfarm vdisk new-version --from\`)`
  );
}

const listOf = (all: readonly (string | number)[]): string => all.toSorted().join(', ') || 'none';
