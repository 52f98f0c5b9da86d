/** What is done elsewhere, as in the Kubernetes API, with its line in `audit`. */
import type { Fault, Result } from '../kit/result.ts';
import { type Database, transact } from './connection.ts';
import type { DatabaseFault } from './fault.ts';
import type { Tables } from './tables.ts';

export type AuditLine = Pick<Tables['audit'], 'source' | 'who' | 'action' | 'kind' | 'name' | 'before' | 'after'>;

/** Carries a refusal out of the transaction, which takes the line back. */
class Refused<F extends Fault> extends Error {
  readonly fault: F;
  constructor(fault: F) {
    super(fault.message);
    this.fault = fault;
  }
}

/** The line is written first: while the database is away nothing is done. It stays when `work` succeeds, which is to be within seconds. */
export async function audited<T, F extends Fault>(
  database: Database,
  line: AuditLine,
  work: () => Promise<Result<T, F>>,
): Promise<Result<T, DatabaseFault | F>> {
  try {
    return await database.run((db) =>
      transact(db, async (trx) => {
        await trx.insertInto('audit').values(line).execute();
        const done = await work();
        if (!done.ok) throw new Refused(done.error);
        return done.value;
      }),
    );
  } catch (thrown) {
    if (thrown instanceof Refused) return { ok: false, error: thrown.fault as F };
    throw thrown;
  }
}
