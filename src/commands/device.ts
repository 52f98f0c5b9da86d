/**
 * `bootfarm device add|set|list|remove|import|export|explain|unknown`: devices by hand and from a file, in the farm database. In the pod of the operator, which may
 * read the Secret of a farm's database; in a server, whose login may not change a device, they are listed and exported alone.
 */
import { Command, Option } from 'commander';
import type { Database } from '../database/connection.ts';
import { addDevices, changeDevice, listDevices, listSites, neighboursOf, removeDevice } from '../database/devices.ts';
import { type DeviceFile, formatDevices, parseDeviceFile } from '../devices/csv.ts';
import { describeComplaint } from '../devices/input.ts';
import { judgeFile } from '../devices/judge.ts';
import { type AddOptions, deviceOf, differences, editDevice, type SetOptions } from '../devices/options.ts';
import { replicaDevices } from '../replica/devices.ts';
import {
  addWord,
  deviceColumns,
  exportWord,
  importWord,
  listWord,
  type Only,
  removeWord,
  says,
  setWord,
} from '../terminal/device-words.ts';
import { attempt, must, Refusal } from '../terminal/refusal.ts';
import { tableText } from '../terminal/table.ts';
import { type Terminal, terminalOfProcess } from '../terminal/terminal.ts';
import { actor, readText, refuseInServer, withDatabase } from './database-access.ts';
import { databaseOptions } from './database-options.ts';
import { addExplain } from './device-explain.ts';

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a table, one entry a word of the command
export function deviceCommand(terminal: Terminal = terminalOfProcess): Command {
  const command = databaseOptions(new Command('device'))
    .description('target devices: which machines the farm knows')
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err });

  const run = (work: (database: Database) => Promise<void>): Promise<void> =>
    attempt(terminal, () => withDatabase(command, work));
  /** What is typed is judged before anybody is asked: to find a farm's database takes seconds. */
  const edit = <T>(
    judge: () => T | Promise<T>,
    work: (database: Database, judged: T) => Promise<void>,
  ): Promise<void> =>
    attempt(terminal, async () => {
      refuseInServer(command, 'devices');
      const judged = await judge();
      return withDatabase(command, (database) => work(database, judged));
    });

  addWord(command).action((name: string, options: AddOptions) =>
    edit(
      () => must(deviceOf(name, options)),
      async (database, device) => {
        const { added } = must(await addDevices(database, [device], actor()));
        terminal.out(added === 1 ? says.added(device) : says.isThere(device.name));
      },
    ),
  );

  setWord(command).action((name: string, options: SetOptions) =>
    edit(
      () => {
        if (Object.keys(options).length === 0) throw new Refusal(says.noChange);
      },
      async (database) => {
        const changed = must(await changeDevice(database, name, (device) => editDevice(device, options), actor()));
        if (!changed) throw new Refusal(says.noDevice(name));
        terminal.out(says.became(name, differences(changed.before, changed.after)));
      },
    ),
  );

  listWord(command)
    .addOption(new Option('-o, --output <format>', 'how').choices(['table', 'wide', 'json']).default('table'))
    .action((options: Only & { output: string }) =>
      run(async (database) => {
        await refuseUnknown(database, options);
        const devices = must(await listDevices(database, options));
        if (devices.length === 0) terminal.err(says.empty(options));
        const look = { width: terminal.columns, isWide: options.output === 'wide' };
        terminal.out(
          options.output === 'json'
            ? `${JSON.stringify(devices, undefined, 2)}\n`
            : tableText(deviceColumns(), devices, look),
        );
      }),
    );

  removeWord(command).action((name: string) =>
    edit(
      () => name,
      async (database) => {
        const removed = must(await removeDevice(database, name, actor()));
        if (!removed) throw new Refusal(says.noDevice(name));
        terminal.out(says.removed(removed));
      },
    ),
  );

  importWord(command).action((file: string, options: { skipBad?: boolean }) =>
    edit(
      async () => must(parseDeviceFile(await readText(file === '-' ? 0 : file))),
      (database, devices) => importFile(database, terminal, file, devices, options.skipBad ?? false),
    ),
  );

  exportWord(command)
    .addOption(
      new Option('--from <source>', 'database, or replica: the follower of this server (default in a server)').choices([
        'database',
        'replica',
      ]),
    )
    .action(({ from }: { from?: 'database' | 'replica' }) =>
      attempt(terminal, async () => {
        const socket = process.env['BOOTFARM_REPLICA_SOCKET'];
        if ((from ?? (socket === undefined ? 'database' : 'replica')) === 'database')
          return withDatabase(command, async (database) =>
            terminal.out(must(formatDevices(must(await listDevices(database))))),
          );
        if (socket === undefined)
          throw new Refusal('only a server has a follower: run it in one, or use --from database');
        terminal.out(must(formatDevices(must(await replicaDevices(socket)))));
      }),
    );

  addExplain(command, terminal);
  return command;
}

/** A name that is mistyped must not look like an empty room. */
async function refuseUnknown(database: Database, { collection, site }: Only): Promise<void> {
  const { collections } = must(await neighboursOf(database, []));
  if (collection !== undefined && !collections.has(collection))
    throw new Refusal(says.noCollection(collection, collections));
  if (site === undefined) return;
  const sites = must(await listSites(database));
  if (!sites.includes(site)) throw new Refusal(says.noSite(site, sites));
}

async function importFile(
  database: Database,
  terminal: Terminal,
  file: string,
  devices: DeviceFile,
  skipBad: boolean,
): Promise<void> {
  const named = devices.good.map(({ device }) => device);
  const { good, bad, badLines } = judgeFile(devices, must(await neighboursOf(database, named)));
  for (const line of bad) terminal.err(`${file}: line ${line.line}, ${describeComplaint(line)}\n`);
  if (badLines > 0 && !skipBad) throw new Refusal(says.notImported(badLines, good.length));
  const { added, unchanged } = must(
    await addDevices(
      database,
      good.map(({ device }) => device),
      actor(),
    ),
  );
  terminal.out(says.imported(added, unchanged, badLines));
}
