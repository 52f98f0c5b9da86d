/**
 * `bootfarm replication`: where each version lies and what each copy is worth, as the operator recorded it: from the farm database, or, while that
 * is away, from the follower of a server.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { Database } from '../database/connection.ts';
import { allCopies } from '../database/copies.ts';
import { snapshot } from '../database/project.ts';
import type { Copy, FarmSnapshot } from '../farm/model.ts';
import { unknownVDisk } from '../farm/rollback.ts';
import { inShort } from '../kit/units.ts';
import { withDatabase } from './database-access.ts';
import { databaseOptions } from './database-options.ts';
import { attempt, must, Refusal } from './refusal.ts';
import {
  areRight,
  tableText,
  type VersionCopies,
  versionCopies,
  versionsJson,
  whatIsWrong,
  wideText,
} from './replication-view.ts';
import { interrupted, type Terminal, terminalOfProcess } from './terminal.ts';

interface Options {
  readonly watch?: true;
  readonly output: 'table' | 'wide' | 'json';
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

/** A leader confirms each second that the replica is the database's state. */
const OLD_MS = 60_000;
const WATCH_MS = 2_000;
/** With `--exit-code`. */
const NOT_RIGHT = 3;

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
        const look = async (): Promise<Looked> => {
          const { farm, copies, asOf } = await read();
          const unknown = vdisk === undefined ? undefined : unknownVDisk(farm, [vdisk]);
          if (unknown) throw new Refusal(unknown.message);
          return lookOf(versionCopies(farm, copies, vdisk), options, now(), asOf, terminal.columns);
        };
        const first = await look();
        let { isRight } = first;
        show(terminal, first, options.watch ?? false);
        if (options.watch)
          for await (const looked of changes(look, first, left(), watchMs, terminal)) {
            show(terminal, looked, true);
            ({ isRight } = looked);
          }
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

interface Looked {
  readonly text: string;
  /** For standard error. */
  readonly note: string;
  readonly isRight: boolean;
  /** What of it is news: how long ago something was is none. */
  readonly news: string;
}

function lookOf(
  versions: readonly VersionCopies[],
  { output, watch = false }: Pick<Options, 'output'> & { readonly watch?: boolean },
  nowMs: number,
  asOf: number | undefined,
  columns: number | undefined,
): Looked {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const ageMs = asOf === undefined ? 0 : nowMs - asOf;
  const note =
    ageMs > OLD_MS
      ? `as the database was ${inShort(Math.floor(ageMs / 1_000))} ago: it, or the operator, does not answer\n`
      : versions.length === 0
        ? 'the farm has no vDisk\n'
        : '';
  const found = versionsJson(versions);
  const looked = { note, isRight: areRight(versions), news: JSON.stringify([found, ageMs > OLD_MS]) };
  if (output === 'json') {
    const value = {
      ...(asOf === undefined ? {} : { asOf: new Date(asOf).toISOString() }),
      versions: found,
    };
    return { ...looked, text: `${watch ? JSON.stringify(value) : JSON.stringify(value, undefined, 2)}\n` };
  }
  const table = output === 'wide' ? wideText(versions, nowSeconds) : tableText(versions, nowSeconds, columns);
  const wrong = whatIsWrong(versions, nowSeconds);
  return { ...looked, text: wrong.length > 0 ? `${table}\n${wrong.join('\n')}\n` : table };
}

/** Each look that says something else than the one before; one that fails is said once, and the next is tried. */
async function* changes(
  look: () => Promise<Looked>,
  first: Looked,
  left: AbortSignal,
  everyMs: number,
  terminal: Terminal,
): AsyncGenerator<Looked> {
  const keyOf = ({ text, note, news }: Looked): string => (isScreen(terminal) ? `${text}${note}` : news);
  let shown: Looked | string = first;
  for (;;) {
    await delay(everyMs, undefined, { signal: left }).catch(() => undefined);
    if (left.aborted) return;
    try {
      const looked = await look();
      if (typeof shown === 'string' || keyOf(looked) !== keyOf(shown)) yield looked;
      shown = looked;
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      if (thrown.message !== shown) terminal.err(`${thrown.message}\n`);
      shown = thrown.message;
    }
  }
}

/** From the top of the screen, which is empty then. */
const REDRAW = '\u001b[H\u001b[2J';

const isScreen = ({ columns }: Terminal): boolean => columns !== undefined;

function show(terminal: Terminal, { text, note }: Looked, isWatched: boolean): void {
  terminal.out(`${isWatched && isScreen(terminal) ? REDRAW : ''}${text}`);
  if (note) terminal.err(note);
}
