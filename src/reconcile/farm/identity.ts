/**
 * Whose database is this? Pure: decided from all that remembers the farm, before anything is written.
 *
 * A person decides by `spec.adopt`: `FARM@NUMBER`, the farm that goes on and the number of the adoption, one above all before it. So the word
 * fits one case: left in git, it permits nothing the next time, unless nobody remembers the adoption: then the database of a Farm that lives in this cluster is
 * refused all the same, and one of another cluster is not.
 */
import type { FoundDatabase } from '../../database/identity.ts';
import type { Adoption } from '../../database/project.ts';
import {
  describeKinship,
  type Identity,
  type IdentityReason,
  identityMark,
  judgeDatabase,
  reasonOf,
} from '../../farm/identity.ts';
import type { Predecessor } from './recovery.ts';

export interface Known {
  /** `metadata.uid` of the Farm. */
  readonly uid: string;
  /** `namespace/name` */
  readonly name: string;
  /** `metadata.uid` of the Secret with its keys. */
  readonly keys: string;
  /** The Farm that the database names is another one, or this one, of this cluster. */
  readonly ownerLives: boolean;
  /** What its status says. */
  readonly status?: Identity;
  /** META of the primary; `Unread`: it does not answer, or needs no reading because the projector writes it. */
  readonly meta: Identity | 'Unread' | undefined;
  /** What servers that answer say of their own followers; `Asking`: not all were asked. */
  readonly servers: readonly Identity[] | 'Asking';
  /** `spec.adopt` */
  readonly adopt?: string;
  /** A person gave this Farm the keys of that one, by its recovery key. */
  readonly predecessor?: Predecessor;
}

export type Decision =
  /** It is this farm's. `succeeds`: the Farm that it belonged to is gone, and this one comes after it. */
  | { readonly kind: 'Ours'; readonly succeeds?: boolean }
  /** It is empty, and nobody remembers a farm. `succeeds`: the Farm that led it is gone before it had rows. */
  | { readonly kind: 'New'; readonly succeeds?: boolean }
  /** A person said so. Its revision is above that of all that it replaces. */
  | { readonly kind: 'Adopt'; readonly adoption: Adoption }
  | { readonly kind: 'Wait'; readonly message: string }
  | { readonly kind: 'Refuse'; readonly reason: IdentityReason; readonly message: string };

interface Holder {
  readonly name: string;
  readonly identity: Identity;
}

export function decideDatabase(known: Known, found: FoundDatabase): Decision {
  const holders = holdersOf(known);
  if (holders.length === 0 && found.owner === undefined && isUnread(known)) return WAIT;
  const succeeds = isSuccessor(known, found);
  const problem = problemOf(known, holders, found, succeeds);
  if (problem === undefined) {
    if (found.farm !== undefined && !succeeds) return { kind: 'Ours' };
    if (isUnread(known)) return WAIT;
    return { kind: found.farm === undefined ? 'New' : 'Ours', ...(succeeds ? { succeeds } : {}) };
  }
  const farm = found.farm ?? holders[0]?.identity.farm;
  if (farm === undefined || isLivingOther(known, found)) return { kind: 'Refuse', ...problem };
  const all = holders.map(({ identity }) => identity);
  const adoptions = 1 + Math.max(found.adoptions, ...all.map((identity) => identity.adoptions));
  const word = identityMark({ farm, adoptions });
  const revision = 1 + Math.max(found.revision, ...all.map((identity) => identity.revision));
  if (known.adopt !== word)
    return { kind: 'Refuse', reason: problem.reason, message: `${problem.message}. ${waysOut(known, word, found)}` };
  if (isUnread(known)) return WAIT;
  return { kind: 'Adopt', adoption: { farm, adoptions, replaces: all.map(identityMark), revision } };
}

const isLivingOther = ({ uid, ownerLives }: Known, { owner }: FoundDatabase): boolean =>
  owner !== undefined && owner.uid !== uid && ownerLives;

/** Somebody was not heard yet who may remember a farm. */
const isUnread = ({ meta, servers }: Known): boolean => meta === 'Unread' || servers === 'Asking';

const WAIT: Decision = {
  kind: 'Wait',
  message: 'nothing is written before the replica, and each server, has said whether it holds a farm already',
};

/** A server's follower counts only where nobody nearer remembers: it may be one that was away for long. */
function holdersOf({ status, meta, servers }: Known): readonly Holder[] {
  const near: Holder[] = [];
  if (status) near.push({ name: 'this Farm', identity: status });
  if (meta && meta !== 'Unread') near.push({ name: 'the replica', identity: meta });
  if (near.length > 0 || servers === 'Asking') return near;
  return servers.map((identity) => ({ name: 'the replica of a server', identity }));
}

/**
 * Once: a Farm that was seen in a database needs no such word, and the database belongs to this Farm afterwards. Of the Farm before it, which is deleted,
 * this one has the name, and the database is free; or the name and the very Secret (another cluster may have a Farm of this name, and a copy of the Secret,
 * which has another uid); or it was given the keys. Who else took the database over meanwhile is no predecessor; a Farm of this very name is: it was made
 * after the copy, and is gone, or this one would not be there. One that never had rows leaves nothing to mix up.
 */
function isSuccessor(known: Known, found: FoundDatabase): boolean {
  const { farm, owner, keys, freedBy } = found;
  const { status, predecessor, uid, name } = known;
  if (status !== undefined || owner?.uid === uid || isLivingOther(known, found)) return false;
  if (owner?.name === name && (keys === known.keys || farm === undefined)) return true;
  if (farm === undefined) return false;
  if (!owner && freedBy === name) return true;
  return predecessor?.farm === farm && (!owner || owner.uid === predecessor.uid || owner.name === name);
}

interface Problem {
  readonly reason: IdentityReason;
  readonly message: string;
}

function problemOf(
  known: Known,
  holders: readonly Holder[],
  found: FoundDatabase,
  succeeds: boolean,
): Problem | undefined {
  for (const { name, identity } of holders) {
    const kinship = judgeDatabase(identity, found);
    if (kinship !== 'Same')
      return { reason: reasonOf(kinship), message: describeKinship(kinship, name, identity, found) };
  }
  const foreign = (message: string): Problem => ({ reason: 'DatabaseForeign', message });
  if (found.owner && found.owner.uid !== known.uid && !succeeds)
    return foreign(
      `the database of farm ${found.farm ?? '(none yet)'} belongs to Farm ${found.owner.name} (uid ${found.owner.uid}), and this one has uid ${known.uid}${wayOfOwner(known, found)}`,
    );
  if (holders.length > 0) return undefined;
  if (found.farm !== undefined && !found.owner && !succeeds)
    return foreign(`the database is that of farm ${found.farm}, and nothing says that this Farm is that farm`);
  if (found.farm === undefined && known.adopt !== undefined)
    return foreign(
      `spec.adopt is ${known.adopt}, and the database holds no farm: restore that farm's database, or take spec.adopt out to begin a new farm`,
    );
  return undefined;
}

/** Where no word is given. */
function wayOfOwner(known: Known, found: FoundDatabase): string {
  if (isLivingOther(known, found)) return '. That Farm is there: name another database, or delete that Farm first';
  return found.farm === undefined ? '. Name another database, or drop the tables of this one: they are empty' : '';
}

function waysOut({ adopt }: Known, word: string, found: FoundDatabase): string {
  const used = adopt === undefined ? '' : ` (it is ${adopt}, which was said of another case)`;
  const lost =
    found.farm === undefined
      ? 'to begin again with this empty one, without its devices,'
      : 'to go on with this one as it is,';
  return `Nothing is written, servers serve on from what they hold. Either bring back the right database, by its uri or from a backup; or, ${lost} set spec.adopt to ${word}${used}`;
}
