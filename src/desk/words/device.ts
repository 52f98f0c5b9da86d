/** `bootfarm device …` at a desk: by the API, in the words of the same command in a pod. */
import { Command } from 'commander';
import { formatDevices } from '../../devices/csv.ts';
import { type AddOptions, deviceOf, differences, editDevice, type SetOptions } from '../../devices/options.ts';
import type { UnknownMachine } from '../../farm/bootrecord.ts';
import type { Explanation } from '../../farm/explain.ts';
import type { Device } from '../../farm/model.ts';
import {
  addWord,
  deviceColumns,
  explainWord,
  exportWord,
  importWord,
  listWord,
  type Only,
  removeWord,
  says,
  setWord,
  unknownWord,
} from '../../terminal/device-words.ts';
import { explanationText, unknownText } from '../../terminal/explain-view.ts';
import { must, Refusal } from '../../terminal/refusal.ts';
import type { Column } from '../../terminal/table.ts';
import { watched } from '../../terminal/watch.ts';
import type { DeviceAnswer, FarmAnswer, Page, Stale } from '../answers.ts';
import type { Told } from '../api.ts';
import { type Desk, staleNote, withFarm } from '../desk.ts';
import { EXIT, ProblemRefusal } from '../exit.ts';
import type { DeskFarm } from '../farm.ts';
import { dataText, type Format, isData, listLook, outputOption, watchOption } from '../output.ts';
import { deviceText } from '../show.ts';
import { importFile } from './import.ts';

interface DryRun {
  readonly dryRun?: true;
}
interface Out {
  readonly output: Format | 'text';
}
/** What is told, and nothing done. */
const DRY = 'dry run: ';
const dryRun = (command: Command): Command => command.option('--dry-run', 'say what would become, and change nothing');

const isAway = (thrown: unknown): boolean => thrown instanceof ProblemRefusal && thrown.problem.code === 'NotFound';

/** Undefined: the farm has no such device, or who asks may not see it. */
async function find(farm: DeskFarm, name: string): Promise<Told<DeviceAnswer> | undefined> {
  try {
    return await farm.get<DeviceAnswer>('devices', name);
  } catch (thrown) {
    if (isAway(thrown)) return undefined;
    throw thrown;
  }
}

async function found(farm: DeskFarm, name: string): Promise<Told<DeviceAnswer>> {
  const there = await find(farm, name);
  if (there) return there;
  throw new Refusal(says.noDevice(name));
}

/** What of a device can be edited: its session, its site and who has its UUID, too, are not of it. */
const deviceIn = ({ name, macs, uuid, collection, class: access, enabled, properties }: DeviceAnswer): Device => ({
  ...{ name, macs, collection, enabled, properties },
  ...(uuid === undefined ? {} : { uuid }),
  ...(access === undefined ? {} : { class: access }),
});

const isSame = (a: Device, b: Device): boolean => differences(a, b).length === 0;

const SERVER: Column<DeviceAnswer> = { title: 'SERVER', cell: ({ session }) => session?.server };
const VERSION: Column<DeviceAnswer> = {
  title: 'STREAMS',
  cell: ({ session }) => (session ? `${session.vdisk}/${session.version}` : undefined),
  isWide: true,
};

export function deviceCommand(desk: Desk): Command {
  const command = new Command('device').description('target devices: which machines the farm knows');
  addAdd(desk, command);
  addSet(desk, command);
  addRemove(desk, command);
  addReplaceNic(desk, command);
  addList(desk, command);
  addShow(desk, command);
  addFiles(desk, command);
  addExplain(desk, command);
  addUnknown(desk, command);
  return command;
}

function addAdd(desk: Desk, command: Command): void {
  const { terminal } = desk;
  dryRun(addWord(command)).action((name: string, options: AddOptions & DryRun, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const device = must(deviceOf(name, options));
      const there = await find(farm, name);
      if (there && isSame(deviceIn(there.value), device)) return terminal.out(says.isThere(name));
      if (options.dryRun) {
        // A file of one line is judged by all that the farm holds.
        const body = must(formatDevices([device]));
        await farm.api.send('POST', farm.path('devices.csv'), { body, query: { dryRun: true } });
        return terminal.out(`${DRY}${says.added(device)}`);
      }
      await farm.api.send('POST', farm.path('devices'), { body: device });
      terminal.out(says.added(device));
    }),
  );
}

/** Somebody may change it between two questions. */
const TRIES = 5;

/** What is there is read, judged here by the words of the command, and put in its place, if it is still what was read. */
async function edit(
  farm: DeskFarm,
  name: string,
  become: (device: Device) => Device,
  isDry: boolean,
): Promise<readonly [before: Device, after: Device]> {
  for (let time = 1; ; time++) {
    const { value, etag } = await found(farm, name);
    const before = deviceIn(value);
    const after = become(before);
    if (isDry || isSame(before, after)) return [before, after];
    const { name: _, ...body } = after;
    try {
      await farm.api.send('PUT', farm.path('devices', name), { body, ifMatch: etag });
      return [before, after];
    } catch (thrown) {
      const isChanged = thrown instanceof ProblemRefusal && thrown.problem.code === 'Changed';
      if (!isChanged || time === TRIES) throw thrown;
    }
  }
}

function addSet(desk: Desk, command: Command): void {
  dryRun(setWord(command)).action((name: string, { dryRun: isDry, ...options }: SetOptions & DryRun, self: Command) =>
    withFarm(desk, self, async (farm) => {
      if (Object.keys(options).length === 0) throw new Refusal(says.noChange);
      const become = (device: Device): Device => must(editDevice(device, options));
      const [before, after] = await edit(farm, name, become, isDry ?? false);
      desk.terminal.out(`${isDry ? DRY : ''}${says.became(name, differences(before, after))}`);
    }),
  );
}

function addReplaceNic(desk: Desk, command: Command): void {
  const word = command
    .command('replace-nic')
    .description('the machine has a new network card: its MAC takes the place of the old one')
    .argument('<name>')
    .argument('<mac>', 'of the new card')
    .option('--old <mac>', 'of the card that is gone (default: the one it boots with)');
  dryRun(word).action((name: string, mac: string, { old, dryRun: isDry }: DryRun & { old?: string }, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const { value: before } = await found(farm, name);
      const gone = old ?? before.macs[0] ?? '';
      const body = { mac, ...(old === undefined ? {} : { old }) };
      if (isDry) return desk.terminal.out(`${DRY}device ${name}: MAC ${gone} -> ${mac}\n`);
      const path = farm.path('devices', name, 'replace-nic');
      const { value: after } = await farm.api.send<DeviceAnswer>('POST', path, { body });
      desk.terminal.out(says.became(name, differences(deviceIn(before), deviceIn(after))));
    }),
  );
}

function addRemove(desk: Desk, command: Command): void {
  dryRun(removeWord(command)).action((name: string, { dryRun: isDry }: DryRun, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const { value } = await found(farm, name);
      if (!isDry) await farm.api.send('DELETE', farm.path('devices', name));
      desk.terminal.out(`${isDry ? DRY : ''}${says.removed(value)}`);
    }),
  );
}

interface ListOptions extends Only {
  readonly search?: string;
  readonly streaming?: true;
  readonly output: Format;
  readonly watch?: true;
}

function addList(desk: Desk, command: Command): void {
  const { terminal } = desk;
  listWord(command)
    .option('--search <text>', 'only those with this in their name or in a MAC')
    .option('--streaming', 'only those that stream now')
    .addOption(outputOption())
    .addOption(watchOption())
    .action((options: ListOptions, self: Command) =>
      withFarm(desk, self, async (farm) => {
        const { collection, site, search, streaming, output, watch = false } = options;
        const shown = {
          columns: deviceColumns<DeviceAnswer>([SERVER, VERSION]),
          nameOf: ({ name }: DeviceAnswer) => name,
          none: says.empty(options).trimEnd(),
        };
        const look = async () => {
          const { items, stale } = await farm.list<DeviceAnswer>(['devices'], { collection, site, search, streaming });
          if (items.length === 0) await refuseUnknown(farm, options);
          const how = { format: output, width: terminal.columns, isWatched: watch };
          return listLook(items, shown, how, staleNote(stale));
        };
        await watched(terminal, look, { isWatched: watch, everyMs: desk.watchMs, left: desk.left });
      }),
    );
}

/** A name that is mistyped must not look like an empty room. Who may not see the farm is not told. */
async function refuseUnknown(farm: DeskFarm, { collection, site }: Only): Promise<void> {
  if (collection === undefined && site === undefined) return;
  const seen = await farm.get<FarmAnswer>().catch((thrown: unknown) => {
    if (thrown instanceof ProblemRefusal && thrown.status === EXIT.notAllowed) return undefined;
    throw thrown;
  });
  if (!seen) return;
  const { collections } = seen.value;
  const names = collections.map(({ name }) => name);
  if (collection !== undefined && !names.includes(collection)) throw new Refusal(says.noCollection(collection, names));
  const sites = [...new Set(collections.map((each) => each.site))];
  if (site !== undefined && !sites.includes(site)) throw new Refusal(says.noSite(site, sites));
}

function addShow(desk: Desk, command: Command): void {
  command
    .command('show')
    .description('a device, and what it streams')
    .argument('<name>')
    .addOption(outputOption(['text', 'json', 'yaml']))
    .action((name: string, { output }: Out, self: Command) =>
      withFarm(desk, self, async (farm) => {
        const { value } = await found(farm, name);
        desk.terminal.out(output === 'text' ? deviceText(value, desk.now()) : dataText(value, output as 'json'));
        desk.terminal.err(staleNote(value.stale));
      }),
    );
}

function addFiles(desk: Desk, command: Command): void {
  const { terminal } = desk;
  dryRun(importWord(command)).action((file: string, options: DryRun & { skipBad?: boolean }, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const text = await (file === '-' ? desk.input.readAll() : desk.input.file(file)).catch((thrown: Error) => {
        throw new Refusal(`cannot read ${file}: ${thrown.message}`);
      });
      const done = await importFile(farm, terminal, file, text, options);
      terminal.out(`${options.dryRun ? DRY : ''}${done}`);
    }),
  );
  exportWord(command).action((_options: object, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const { value, headers } = await farm.api.text(farm.path('devices.csv'));
      terminal.out(value);
      const since = headers['bootfarm-stale-since'];
      if (typeof since === 'string') terminal.err(staleNote({ since, reason: 'it does not answer' }));
    }),
  );
}

function addExplain(desk: Desk, command: Command): void {
  explainWord(command)
    .addOption(outputOption(['text', 'json', 'yaml']))
    .addHelpText(
      'after',
      `
All servers of the farm are asked for their boot records; who does not answer within 2 s is named.

Examples:
  bootfarm device explain pc0001
  bootfarm device explain 52:54:00:12:34:56 -o json`,
    )
    .action((asked: string, { output }: Out, self: Command) =>
      withFarm(desk, self, async (farm) => {
        const { value } = await farm.get<Explanation & { stale?: Stale }>('devices', asked, 'explain');
        desk.terminal.out(output === 'text' ? explanationText(value) : dataText(value, output as 'json'));
        desk.terminal.err(staleNote(value.stale));
      }),
    );
}

interface Unknowns extends Page<UnknownMachine> {
  readonly more: number;
  readonly silent: readonly { readonly message: string }[];
}

/** One page: who is interested in more than so many looks at the newest. */
const UNKNOWN = 500;

function addUnknown(desk: Desk, command: Command): void {
  const { terminal } = desk;
  unknownWord(command)
    .option('--add <mac>', 'add the machine with this MAC as a device, with the UUID that it said')
    .option('--name <name>', 'with --add: what it is called')
    .option('--collection <name>', 'with --add: the collection it belongs to')
    .addOption(outputOption(['text', 'json', 'yaml', 'name']))
    .addOption(watchOption())
    .addHelpText(
      'after',
      `
A server remembers the last 1,024 of them. To make one of them a device:
  bootfarm device unknown --add 52:54:00:12:34:56 --name pc0001 --collection room-101`,
    )
    .action((options: Out & { add?: string; name?: string; collection?: string; watch?: true }, self: Command) =>
      withFarm(desk, self, async (farm) => {
        const { add, name, collection, output, watch = false } = options;
        if (add === undefined) {
          if (name !== undefined || collection !== undefined)
            throw new Refusal('--name and --collection are of --add MAC');
          const look = () => unknownLook(desk, farm, output, watch);
          await watched(terminal, look, { isWatched: watch, everyMs: desk.watchMs, left: desk.left });
          return;
        }
        if (name === undefined || collection === undefined) throw new Refusal('--add needs --name and --collection');
        const { value } = await farm.api.send<DeviceAnswer>('POST', farm.path('unknown', add), {
          body: { name, collection },
        });
        terminal.out(says.added(value));
      }),
    );
}

async function unknownLook(desk: Desk, farm: DeskFarm, output: Format | 'text', isWatched: boolean) {
  const { value } = await farm.api.get<Unknowns>(farm.path('unknown'), { limit: UNKNOWN });
  const { items: machines, more, silent, stale } = value;
  const silence = silent.map(({ message }) => `no answer: ${message}\n`).join('');
  const none = machines.length === 0 ? 'no unknown machine was heard\n' : '';
  const looked = { note: `${staleNote(stale)}${silence}${none}`, news: JSON.stringify([machines, silence]) };
  if (output === 'name') return { ...looked, text: machines.map(({ mac }) => `${mac}\n`).join('') };
  if (output !== 'text' && isData(output))
    return { ...looked, text: dataText({ machines, more, silent }, output, isWatched) };
  return { ...looked, text: machines.length === 0 ? '' : unknownText({ machines, more }, desk.now()) };
}
