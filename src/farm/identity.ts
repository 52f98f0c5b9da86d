/**
 * Is this database the one that a farm's copies were filled from? A copy that outlives its source (the replica, a Farm's status, a server's
 * own mark) is never filled from another one, and never emptied by it, unless a person said so.
 */

/** What a copy remembers of the database that filled it. */
export interface Identity {
  readonly farm: string;
  /** How often a person said that the farm goes on from another state of its database. */
  readonly adoptions: number;
  /** Grows with the changes that were fed to the replica: a database that stands below it was restored to the past. */
  readonly revision: number;
  /** How many devices the copy holds, where that is known. */
  readonly devices?: number;
  /** When it was last found equal to the database, Unix milliseconds. */
  readonly checkedAt?: number;
}

/** What a database says of itself. */
export interface DatabaseIdentity {
  /** Absent: it holds no farm. */
  readonly farm?: string;
  readonly adoptions: number;
  readonly revision: number;
  /** `identityMark` of what a person let it replace. */
  readonly replaces: readonly string[];
  readonly hasDevices: boolean;
  /** Of the last change that was fed to the replica, Unix milliseconds. */
  readonly steppedAt?: number;
}

/**
 * - `Same`: it is the one, or a person said that it goes on from here.
 * - `Empty`: it holds no farm.
 * - `Foreign`: it holds another farm.
 * - `Behind`: it is this farm's, restored to the past.
 * - `Emptied`: it is this farm's, and its many devices are gone.
 */
export type Kinship = 'Same' | 'Empty' | 'Foreign' | 'Behind' | 'Emptied';

/** Fewer devices than this are typed again in minutes, and may have been removed one by one. */
const MANY_DEVICES = 10;

export const identityMark = ({ farm, adoptions }: Pick<Identity, 'farm' | 'adoptions'>): string =>
  `${farm}@${adoptions}`;

export function judgeDatabase(known: Identity, found: DatabaseIdentity): Kinship {
  if (found.farm === undefined) return 'Empty';
  if (found.replaces.includes(identityMark(known))) return 'Same';
  if (found.farm !== known.farm) return 'Foreign';
  if (found.adoptions < known.adoptions) return 'Behind';
  if (found.adoptions > known.adoptions) return 'Same';
  if (found.revision < known.revision) return 'Behind';
  return (known.devices ?? 0) >= MANY_DEVICES && !found.hasDevices ? 'Emptied' : 'Same';
}

export type IdentityReason = 'DatabaseForeign' | 'DatabaseBehind';

export const reasonOf = (kinship: Exclude<Kinship, 'Same'>): IdentityReason =>
  kinship === 'Empty' || kinship === 'Foreign' ? 'DatabaseForeign' : 'DatabaseBehind';

/** One sentence: what the database is, and what it should be. `holder` is who knows: `the replica`, `this Farm`. */
export function describeKinship(
  kinship: Exclude<Kinship, 'Same'>,
  holder: string,
  known: Identity,
  found: DatabaseIdentity,
): string {
  const farm = `farm ${known.farm}`;
  switch (kinship) {
    case 'Empty':
      return `the database holds no farm, and ${holder} is that of ${farm}`;
    case 'Foreign':
      return `the database is that of farm ${found.farm}, and ${holder} is that of ${farm}`;
    case 'Behind':
      return (
        `the database of ${farm} was restored to the past: it stands at ${stand(found, found.steppedAt)}, ` +
        `and ${holder} at ${stand(known, known.checkedAt)}`
      );
    case 'Emptied':
      return `the database of ${farm} holds no device, and ${holder} holds ${known.devices}`;
  }
}

const stand = ({ adoptions, revision }: Pick<Identity, 'adoptions' | 'revision'>, at: number | undefined): string =>
  [
    `revision ${revision}`,
    ...(adoptions > 0 ? [` after ${adoptions} adoptions`] : []),
    ...(at === undefined ? [] : [` of ${new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z')}`]),
  ].join('');
