/** Whether keys of a recovery copy are given to a farm, and what is written. Pure. */
import type { CopiedSecret, RecoveryCopy } from '../../farm/recovery.ts';
import type { SecretChange, SecretData } from '../secrets.ts';
import { isLasting } from './recovery.ts';

/** What the database says to passwords; `Unknown`: it was not asked, or did not answer. */
export type Verdict = 'Takes' | 'Refuses' | 'Unknown';

export interface RecoverFacts {
  /** namespace/name of the Farm. */
  readonly farm: string;
  /** Of which Farm copies are wanted. */
  readonly wanted: string;
  readonly copies: readonly RecoveryCopy[];
  readonly held: { readonly keys: SecretData; readonly database: SecretData };
  /** On the Secrets that the farm has. */
  readonly current: Verdict;
  /** On each copy. */
  readonly verdicts: ReadonlyMap<RecoveryCopy, Verdict>;
}

export type RecoverPlan =
  | { readonly kind: 'Refuse'; readonly message: string }
  /** The Secrets are as the copy has them. */
  | { readonly kind: 'There'; readonly copy: RecoveryCopy }
  | {
      readonly kind: 'Write';
      readonly copy: RecoveryCopy;
      readonly keys: SecretChange;
      readonly database: SecretChange;
    };

const refuse = (message: string): RecoverPlan => ({ kind: 'Refuse', message });
const named = ({ farm, id, sealedAt }: RecoveryCopy): string => `farm ${id} of Farm ${farm}, sealed ${sealedAt}`;

export function planRecover({ farm, wanted, copies, held, current, verdicts }: RecoverFacts): RecoverPlan {
  const fitting = copies.filter((copy) => copy.farm === wanted);
  if (fitting.length === 0) {
    const others = [...new Set(copies.map((copy) => copy.farm))].join(', ');
    return refuse(
      `the copy is of Farm ${others}, not of ${wanted}: if ${farm} is to go on as that one, say --of ${others}`,
    );
  }
  const there = fitting.find((copy) => isEmpty(changesOf(held, copy)));
  if (there) return { kind: 'There', copy: there };
  if (current === 'Takes')
    return refuse(
      `the database of Farm ${farm} takes the Secrets that it has, and they are others: nothing is overwritten`,
    );
  if (current === 'Unknown' && Object.keys(held.database).length > 0)
    return refuse(
      `it is not known whether the database of Farm ${farm} takes the Secrets that it has, and nothing that is right is overwritten: wait until it answers`,
    );
  const taken = fitting.filter((copy) => verdicts.get(copy) === 'Takes');
  const possible = taken.length > 0 ? taken : fitting.filter((copy) => verdicts.get(copy) !== 'Refuses');
  const [copy, ...more] = possible.toSorted((a, b) => (a.sealedAt < b.sealedAt ? 1 : -1));
  if (!copy)
    return refuse(
      `the database does not take the passwords of ${fitting.map(named).join('; or ')}: the copy is of another database, or older than its last new password`,
    );
  if (taken.length === 0 && more.length > 0)
    return refuse(
      `there are ${possible.length} copies, and the database does not answer to say which is right: ${possible.map(named).join('; ')}. Give one, or wait for it`,
    );
  return { kind: 'Write', copy, ...changesOf(held, copy) };
}

const changesOf = (held: RecoverFacts['held'], { secrets }: RecoveryCopy) => ({
  keys: changeTo(held.keys, secrets.keys),
  database: changeTo(held.database, secrets.database),
});

/** What is there and not in the copy goes, but what is made again. */
function changeTo(held: SecretData, copied: CopiedSecret): SecretChange {
  const names = new Set([...Object.keys(held).filter(isLasting), ...Object.keys(copied)]);
  const changes = [...names].map((name) => [name, bytesOf(copied[name])] as const);
  return Object.fromEntries(
    changes.filter(([name, bytes]) => bytes?.toString('base64') !== held[name]?.toString('base64')),
  );
}

const bytesOf = (base64: string | undefined): Buffer | undefined =>
  base64 === undefined ? undefined : Buffer.from(base64, 'base64');
const isEmpty = (changes: ReturnType<typeof changesOf>): boolean =>
  Object.values(changes).every((change) => Object.keys(change).length === 0);

/** Whichever the owner of the database has: its password may just have been changed. */
export const passwordsOf = ({ secrets }: RecoveryCopy): readonly string[] =>
  ['password', 'password-next'].flatMap((name) => bytesOf(secrets.database[name])?.toString() ?? []);
