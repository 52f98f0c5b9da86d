/** Which work of a folder is done next: of digests, which file is read. Pure. */

export interface Waiting {
  /** It is known, and only read again: what is known of it holds until then. */
  readonly again: boolean;
  /** It is open and changed where it lies: until its digest is there, machines may read what is wrong, and no other may boot from it. */
  readonly doubtful: boolean;
  /** The leaf table of a disk of so many images, whose digests are known. 0: a digest. */
  readonly images: number;
  /** Bytes of other files that are to be read before this one may go before them again; 0 or less: none. */
  readonly owes: number;
}

/** The least goes first. */
type Turn = 0 | 1 | 2 | 3;

/** A file that is touched for ever would be read for ever: it goes before the others once, and then waits with them for as many bytes as were read of it. */
export const turnOf = ({ again, doubtful, images, owes }: Waiting): Turn =>
  images > 0 ? 2 : again ? 3 : doubtful && owes <= 0 ? 0 : 1;

/**
 * The first of those whose turn it is; of tables that of the fewest images, for a difference shares the table of what lies below. `before`: only one that
 * goes before whoever has this turn, and is being read.
 */
export function nextOf<Job extends Waiting>(waiting: readonly Job[], before?: Turn): Job | undefined {
  const turns: readonly Turn[] = [0, 1, 2, 3];
  for (const turn of turns.slice(0, before)) {
    const [first, ...others] = waiting.filter((job) => turnOf(job) === turn);
    if (first) return others.reduce((least, job) => (job.images < least.images ? job : least), first);
  }
  return undefined;
}
