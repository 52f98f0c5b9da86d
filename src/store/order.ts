/** Which file of a folder is read next for its digest. Pure. */

export interface Waiting {
  /** It is known, and only read again: what is known of it holds until then. */
  readonly again: boolean;
  /** It is open and changed where it lies: until its digest is there, machines may read what is wrong, and no other may boot from it. */
  readonly doubtful: boolean;
  /** Bytes of other files that are to be read before this one may go before them again; 0 or less: none. */
  readonly owes: number;
}

/** The least goes first. */
type Turn = 0 | 1 | 2;

/** A file that is touched for ever would be read for ever: it goes before the others once, and then waits with them for as many bytes as were read of it. */
export const turnOf = ({ again, doubtful, owes }: Waiting): Turn => (again ? 2 : doubtful && owes <= 0 ? 0 : 1);

/** The first of those whose turn it is. `before`: only one that goes before whoever has this turn, and is being read. */
export function nextOf<Job extends Waiting>(waiting: readonly Job[], before?: Turn): Job | undefined {
  const turns: readonly Turn[] = [0, 1, 2];
  for (const turn of turns.slice(0, before)) {
    const found = waiting.find((job) => turnOf(job) === turn);
    if (found) return found;
  }
  return undefined;
}
