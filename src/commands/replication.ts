/**
 * `bootfarm replication`: where each version lies and what each copy is worth, as the operator recorded it: from the farm database, or, while that
 * is away, from the follower of a server.
 */
import { Command, Option } from 'commander';
import type { Database } from '../database/connection.ts';
import { allCopies } from '../database/copies.ts';
import { snapshot } from '../database/project.ts';
import type { Copy, FarmSnapshot } from '../farm/model.ts';
import { unknownVDisk } from '../farm/rollback.ts';
import { attempt, must, Refusal } from '../terminal/refusal.ts';
import { NOT_RIGHT, type ReplicationOutput, replicationLook, versionCopies } from '../terminal/replication-view.ts';
import { interrupted, type Terminal, terminalOfProcess } from '../terminal/terminal.ts';
import { WATCH_MS, watched } from '../terminal/watch.ts';
import { withDatabase } from './database-access.ts';
import { databaseOptions } from './database-options.ts';

interface Options {
  readonly watch?: true;
  readonly output: ReplicationOutput;
  readonly exitCode?: true;
  readonly from?: 'database' | 'replica';
}

/** One reading. */
interface Read {
  readonly farm: FarmSnapshot;
  readonly copies: readonly Copy[];
  /** When it was the state of the database, Unix milliseconds; absent: it is now. */
  readonly asOf?: number;
}

const IN_SERVER = 'kubectl exec deploy/main-NODE -c server -- bootfarm replication';

interface Surroundings {
  readonly now: () => number;
  readonly left: () => AbortSignal;
  readonly watchMs: number;
}

const OF_PROCESS: Surroundings = { now: Date.now, left: interrupted, watchMs: WATCH_MS };

export function replicationCommand(
  terminal: Terminal = terminalOfProcess,
  { now, left, watchMs }: Surroundings = OF_PROCESS,
): Command {
  const command = databaseOptions(new Command('replication'))
    .description('where each version of each vDisk lies, and what each copy is worth')
    .argument('[vdisk]', 'of this vDisk alone')
    .option('-w, --watch', 'again each 2 s when something changed, until interrupted')
    .option('--exit-code', `end with ${NOT_RIGHT} if a copy is not UpToDate`)
    .addOption(new Option('-o, --output <format>', 'how').choices(['table', 'wide', 'json']).default('table'))
    .addOption(
      new Option('--from <source>', 'database, or replica: the follower of this server (default in a server)').choices([
        'database',
        'replica',
      ]),
    )
    .addHelpText(
      'after',
      `
States: UpToDate, Copying (percent, time left), Missing, OutOfDate, PropertiesMissing, PropertiesOutOfDate, Corrupt, Conflict,
ServerUnreachable; -: that server offers no store of it. While the database is away, ask a server:
  ${IN_SERVER}

Examples:
  bootfarm replication --farm bootfarm-demo/farm -w
  bootfarm replication lab -o wide
  bootfarm replication --exit-code >/dev/null || echo "not every copy is right"`,
    )
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err });

  return command.action((vdisk: string | undefined, options: Options) =>
    attempt(terminal, () =>
      withSource(command, options.from, async (read) => {
        const look = async () => {
          const { farm, copies, asOf } = await read();
          const unknown = vdisk === undefined ? undefined : unknownVDisk(farm, [vdisk]);
          if (unknown) throw new Refusal(unknown.message);
          return replicationLook(versionCopies(farm, copies, vdisk), options, now(), asOf, terminal.columns);
        };
        const { isRight } = await watched(terminal, look, {
          isWatched: options.watch ?? false,
          everyMs: watchMs,
          left,
        });
        if (options.exitCode && !isRight) terminal.fail(NOT_RIGHT);
      }),
    ),
  );
}

/** Where copies are asked for: in a server of its follower, elsewhere of the database. */
async function withSource(
  command: Command,
  from: Options['from'],
  work: (read: () => Promise<Read>) => Promise<void>,
): Promise<void> {
  const socketPath = process.env['BOOTFARM_REPLICA_SOCKET'];
  if ((from ?? (socketPath === undefined ? 'database' : 'replica')) === 'database')
    return withDatabase(command, (database) => work(() => ofDatabase(database)));
  if (socketPath === undefined)
    throw new Refusal('only a server has a follower: run it in one, or use --from database');
  // The client of the replica is loaded where it is needed alone.
  const { openReplica } = await import('../replica/reader.ts');
  const { replicaCopies } = await import('../replica/devices.ts');
  const replica = openReplica({ socketPath });
  try {
    await work(async () => ({
      farm: must(await replica.snapshot()),
      copies: must(await replicaCopies(socketPath)),
      asOf: must(await replica.checkedAt()),
    }));
  } finally {
    await replica.close();
  }
}

async function ofDatabase(database: Database): Promise<Read> {
  const read = await snapshot(database);
  if (!read.ok) throw new Refusal(`${read.error.message}. A server knows it, too: \`${IN_SERVER}\``);
  const farm = read.value;
  if (!farm) throw new Refusal('the database holds no farm yet');
  return { farm, copies: must(await allCopies(database)) };
}
