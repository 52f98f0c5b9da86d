/**
 * The words of `bootfarm device` and what may be said with them: the same at a desk, which asks the API, and in a pod, which asks the database itself.
 * Each is added to the command of its door, which gives it its action.
 */
import { type Command, Option } from 'commander';
import type { Device } from '../farm/model.ts';
import type { Column } from './table.ts';

/** Of `device list`. */
export interface Only {
  readonly collection?: string;
  readonly site?: string;
}

/** An option that may be there again and again. Of one that takes all words behind it, a name put last is one more of them. */
const repeated = (flags: string, description: string): Option =>
  new Option(flags, description).argParser((value: string, before: readonly string[] = []) => [...before, value]);

export const addWord = (device: Command): Command =>
  device
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
    .addHelpText('after', '\nExample:\n  bootfarm device add pc0001 --mac 52:54:00:12:34:56 --collection room-101');

export const setWord = (device: Command): Command =>
  device
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
    );

/** Its door says which formats it has. */
export const listWord = (device: Command): Command =>
  device
    .command('list')
    .description('list devices')
    .option('--collection <name>', 'only those of this collection')
    .option('--site <name>', 'only those of this site');

export const removeWord = (device: Command): Command =>
  device
    .command('remove')
    .description('remove a device; if it streams now, it is stopped within seconds')
    .argument('<name>');

export const importWord = (device: Command): Command =>
  device
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
    );

export const exportWord = (device: Command): Command =>
  device.command('export').description('write all devices as the CSV that import takes');

export const explainWord = (device: Command): Command =>
  device
    .command('explain')
    .description('why a machine does not boot: its last boot step by step, the first thing in its way, and what to do')
    .argument('<name|mac|uuid>', 'a device, or the MAC of any machine');

export const unknownWord = (device: Command): Command =>
  device
    .command('unknown')
    .description('machines that asked to boot lately and are no device: who they are, and how far they came');

/** What each door says when it is done. */
export const says = {
  added: ({ name, collection }: Device) => `device ${name} added to collection ${collection}\n`,
  isThere: (name: string) => `device ${name} is there already: unchanged\n`,
  became: (name: string, parts: readonly string[]) =>
    `device ${name}: ${parts.length === 0 ? 'unchanged' : parts.join('; ')}\n`,
  removed: ({ name, macs, collection }: Device) =>
    `device ${name} (MAC ${macs.join(' ')}) removed from collection ${collection}\n`,
  noChange: 'say what is to change: `bootfarm device set --help` names all',
  noDevice: (name: string) => `the farm has no device ${name}: \`bootfarm device list\` shows all`,
  empty: ({ collection, site }: Only) =>
    `the farm has no device${collection ? ` of collection ${collection}` : ''}${site ? ` of site ${site}` : ''}\n`,
  noCollection: (name: string, collections: Iterable<string>) =>
    `the farm has no collection ${name}; it has ${[...collections].sort().join(', ') || 'none: name one in the Farm resource'}`,
  noSite: (name: string, sites: Iterable<string>) =>
    `the farm has no site ${name}; it has ${[...sites].sort().join(', ') || 'none'}`,
  imported: (added: number, unchanged: number, skipped: number) =>
    `${added} added, ${unchanged} unchanged${skipped > 0 ? `, ${lines(skipped)} skipped` : ''}\n`,
  notImported: (bad: number, good: number) =>
    `nothing was imported: ${lines(bad)} bad, ${good} good. Correct them, or use --skip-bad`,
} as const;

const lines = (count: number): string => `${count} line${count === 1 ? '' : 's'}`;

const DEVICE_COLUMNS: readonly Column<Device>[] = [
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'MAC', cell: ({ macs }) => macs.join(' '), atLeast: 17 },
  { title: 'COLLECTION', cell: ({ collection }) => collection, atLeast: 10 },
  { title: 'CLASS', cell: (device) => device.class },
  { title: 'ENABLED', cell: ({ enabled }) => String(enabled) },
  {
    title: 'UUID',
    cell: ({ uuid, uuidSharedWith }) =>
      `${uuid ?? '-'}${uuidSharedWith === undefined ? '' : ` (${uuidSharedWith} has it too: not used)`}`,
    atLeast: 12,
  },
];

/** `more`: what only one of the doors knows of a device. */
export const deviceColumns = <Row extends Device>(more: readonly Column<Row>[] = []): readonly Column<Row>[] => [
  ...DEVICE_COLUMNS.slice(0, -1),
  ...more,
  ...DEVICE_COLUMNS.slice(-1),
];
