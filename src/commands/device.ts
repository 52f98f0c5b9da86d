/**
 * `bootfarm device add|set|list|remove|import|export|explain|unknown`: devices by hand and from a file, in the farm database. In the pod of the operator, which may
 * read the Secret of a farm's database; in a server, whose login may not change a device, they are listed and exported alone.
 */
import { Command, Option } from 'commander';
import type { Database } from '../database/connection.ts';
import {
  addDevices,
  changeDevice,
  listDevices,
  listSites,
  neighboursOf,
  noCollection,
  removeDevice,
} from '../database/devices.ts';
import { type DeviceFile, formatDevices, parseDeviceFile } from '../devices/csv.ts';
import { describeComplaint } from '../devices/input.ts';
import { judgeFile } from '../devices/judge.ts';
import type { Device } from '../farm/model.ts';
import { replicaDevices } from '../replica/devices.ts';
import { actor, readText, refuseInServer, withDatabase } from './database-access.ts';
import { databaseOptions } from './database-options.ts';
import { addExplain } from './device-explain.ts';
import { type AddOptions, deviceOf, differences, editDevice, type SetOptions } from './device-options.ts';
import { attempt, must, Refusal } from './refusal.ts';
import { type Terminal, terminalOfProcess } from './terminal.ts';

interface Only {
  readonly collection?: string;
  readonly site?: string;
}

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

  command
    .command('add')
    .description('add a device; adding the same again changes nothing')
    .argument('<name>', 'its name: a DNS label, unique in the farm')
    .addOption(
      repeated(
        '--mac <mac>',
        'required: a MAC, once for each of its 1 to 8; the first is the one it boots with',
      ).makeOptionMandatory(),
    )
    .option('--uuid <uuid>', 'its SMBIOS UUID, in either byte order: it is known by it with a new card')
    .requiredOption('--collection <name>', 'required: the collection it belongs to')
    .option('--class <class>', "Maintenance, Test or Production (default: the collection's)")
    .option('--disabled', 'add it, and do not let it boot yet')
    .addOption(repeated('--property <key=value>', 'something a device is told about itself'))
    .addHelpText('after', '\nExample:\n  bootfarm device add pc0001 --mac 52:54:00:12:34:56 --collection room-101')
    .action((name: string, options: AddOptions) =>
      edit(
        () => must(deviceOf(name, options)),
        async (database, device) => {
          const { added } = must(await addDevices(database, [device], actor()));
          terminal.out(
            added === 1
              ? `device ${device.name} added to collection ${device.collection}\n`
              : `device ${device.name} is there already: unchanged\n`,
          );
        },
      ),
    );

  command
    .command('set')
    .description('change a device that is there; an empty value takes away what it has')
    .argument('<name>')
    .option('--collection <name>', 'the collection it belongs to')
    .option('--class <class>', "Maintenance, Test, Production; '': the collection's")
    .option('--enabled', 'it may boot')
    .addOption(
      new Option('--disabled', 'it may not; if it streams now, it is stopped within seconds').conflicts('enabled'),
    )
    .addOption(repeated('--mac <mac>', 'all of its MACs, in place of those that it has'))
    .addOption(repeated('--add-mac <mac>', 'one more').conflicts('mac'))
    .addOption(repeated('--remove-mac <mac>', 'one less').conflicts('mac'))
    .option('--uuid <uuid>', 'its SMBIOS UUID')
    .addOption(repeated('--property <key=value>', 'something it is told about itself; others stay'))
    .addOption(repeated('--remove-property <key>', 'something it is told no more'))
    .addHelpText(
      'after',
      `
What is not named stays. It holds from the next boot on, --disabled at once.

Example, a machine that got a new network card:
  bootfarm device set pc0001 --remove-mac 52:54:00:12:34:56 --add-mac 52:54:00:65:43:21`,
    )
    .action((name: string, options: SetOptions) =>
      edit(
        () => {
          if (Object.keys(options).length === 0)
            throw new Refusal('say what is to change: `bootfarm device set --help` names all');
        },
        async (database) => {
          const changed = must(await changeDevice(database, name, (device) => editDevice(device, options), actor()));
          if (!changed) throw noDevice(name);
          const became = differences(changed.before, changed.after);
          terminal.out(`device ${name}: ${became.length === 0 ? 'unchanged' : became.join('; ')}\n`);
        },
      ),
    );

  command
    .command('list')
    .description('list devices')
    .option('--collection <name>', 'only those of this collection')
    .option('--site <name>', 'only those of this site')
    .addOption(new Option('-o, --output <format>', 'how').choices(['table', 'json']).default('table'))
    .action((options: Only & { output: string }) =>
      run(async (database) => {
        const { collection, site } = options;
        await refuseUnknown(database, options);
        const devices = must(await listDevices(database, options));
        const where = `${collection ? ` of collection ${collection}` : ''}${site ? ` of site ${site}` : ''}`;
        if (devices.length === 0) terminal.err(`the farm has no device${where}\n`);
        terminal.out(options.output === 'json' ? `${JSON.stringify(devices, undefined, 2)}\n` : table(devices));
      }),
    );

  command
    .command('remove')
    .description('remove a device; if it streams now, it is stopped within seconds')
    .argument('<name>')
    .action((name: string) =>
      edit(
        () => name,
        async (database) => {
          const removed = must(await removeDevice(database, name, actor()));
          if (!removed) throw noDevice(name);
          terminal.out(
            `device ${name} (MAC ${removed.macs.join(' ')}) removed from collection ${removed.collection}\n`,
          );
        },
      ),
    );

  command
    .command('import')
    .description('add all devices of a CSV file, or none when one line is bad')
    .argument('<file>', 'the file; - is standard input')
    .option('--skip-bad', 'add the good lines all the same')
    .addHelpText(
      'after',
      `
The first line names the columns: name, mac, collection and, where wanted, uuid, class, enabled, property.NAME.
Several MACs of one device are separated by spaces. Devices that are there already, the same, are left alone.

  name,mac,collection,property.seat
  pc0001,52:54:00:12:34:56,room-101,A1
  pc0002,52:54:00:12:34:57 52:54:00:12:34:58,room-101,A2`,
    )
    .action((file: string, options: { skipBad?: boolean }) =>
      edit(
        async () => must(parseDeviceFile(await readText(file === '-' ? 0 : file))),
        (database, devices) => importFile(database, terminal, file, devices, options.skipBad ?? false),
      ),
    );

  command
    .command('export')
    .description('write all devices as the CSV that import takes')
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

const noDevice = (name: string): Refusal =>
  new Refusal(`the farm has no device ${name}: \`bootfarm device list\` shows all`);

/** An option that may be there again and again. Of one that takes all words behind it, a name put last is one more of them. */
const repeated = (flags: string, description: string): Option =>
  new Option(flags, description).argParser((value: string, before: readonly string[] = []) => [...before, value]);

/** A name that is mistyped must not look like an empty room. */
async function refuseUnknown(database: Database, { collection, site }: Only): Promise<void> {
  const { collections } = must(await neighboursOf(database, []));
  if (collection !== undefined && !collections.has(collection))
    throw new Refusal(noCollection(collection, collections));
  if (site === undefined) return;
  const sites = must(await listSites(database));
  if (!sites.includes(site)) throw new Refusal(`the farm has no site ${site}; it has ${sites.join(', ') || 'none'}`);
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
  if (badLines > 0 && !skipBad)
    throw new Refusal(
      `nothing was imported: ${lines(badLines)} bad, ${good.length} good. Correct them, or use --skip-bad`,
    );
  const { added, unchanged } = must(
    await addDevices(
      database,
      good.map(({ device }) => device),
      actor(),
    ),
  );
  terminal.out(`${added} added, ${unchanged} unchanged${badLines > 0 ? `, ${lines(badLines)} skipped` : ''}\n`);
}

const lines = (count: number): string => `${count} line${count === 1 ? '' : 's'}`;

function table(devices: readonly Device[]): string {
  const head = ['NAME', 'MAC', 'COLLECTION', 'CLASS', 'ENABLED', 'UUID'];
  const rows = devices.map((device) => [
    device.name,
    device.macs.join(' '),
    device.collection,
    device.class ?? '-',
    String(device.enabled),
    `${device.uuid ?? '-'}${device.uuidSharedWith === undefined ? '' : ` (${device.uuidSharedWith} has it too: not used)`}`,
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd();
  return `${[head, ...rows].map(line).join('\n')}\n`;
}
