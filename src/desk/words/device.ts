/** `bootfarm device …` at a desk: by the API, in the words of the same command in a pod. */
import { Command } from 'commander';
import { formatDevices } from '../../devices/csv.ts';
import { type AddOptions, deviceOf, differences, editDevice, type SetOptions } from '../../devices/options.ts';
import { parseMac } from '../../farm/address.ts';
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
import { type Desk, staleNote, withFarm, withJudged } from '../desk.ts';
import { EXIT, ProblemRefusal } from '../exit.ts';
import type { DeskFarm } from '../farm.ts';
import { dataText, doneText, type Format, isData, listLook, outputOption, textOrJson, watchOption } from '../output.ts';
import { deviceText } from '../show.ts';
import { importFile, readFile } from './import.ts';

interface Out {
  readonly output: Format | 'text';
}
/** What is told, and nothing done. */
const DRY = 'dry run: ';
const edits = (command: Command): Command =>
  command.option('--dry-run', 'say what would become, and change nothing').addOption(textOrJson());

interface EditFlags {
  readonly dryRun?: true;
  readonly output: 'text' | 'json';
}

/** What was done, or with `--dry-run` would be. */
function tell({ terminal }: Desk, { output, dryRun }: EditFlags, text: string, data: object): void {
  const isDry = dryRun ?? false;
  terminal.out(doneText(output, `${isDry ? DRY : ''}${text}`, { dryRun: isDry, ...data }));
}

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
  edits(addWord(command)).action((name: string, options: AddOptions & EditFlags, self: Command) =>
    withJudged(
      desk,
      self,
      () => must(deviceOf(name, options)),
      async (farm, device) => {
        const there = await find(farm, name);
        if (there && isSame(deviceIn(there.value), device))
          return tell(desk, { output: options.output }, says.isThere(name), { added: false, device });
        // A file of one line is judged by all that the farm holds.
        if (options.dryRun) {
          const body = must(formatDevices([device]));
          await farm.api.send('POST', farm.path('devices.csv'), { body, query: { dryRun: true } });
        } else await farm.api.send('POST', farm.path('devices'), { body: device });
        tell(desk, options, says.added(device), { added: true, device });
      },
    ),
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
  edits(setWord(command)).action((name: string, flags: SetOptions & EditFlags, self: Command) => {
    const { dryRun, output, ...options } = flags;
    const judge = (): void => {
      if (Object.keys(options).length === 0) throw new Refusal(says.noChange);
    };
    return withJudged(desk, self, judge, async (farm) => {
      const become = (device: Device): Device => must(editDevice(device, options));
      const [before, device] = await edit(farm, name, become, dryRun ?? false);
      const parts = differences(before, device);
      tell(desk, flags, says.became(name, parts), { changed: parts.length > 0, device });
    });
  });
}

function addReplaceNic(desk: Desk, command: Command): void {
  const word = command
    .command('replace-nic')
    .description('the machine has a new network card: its MAC takes the place of the old one')
    .argument('<name>')
    .argument('<mac>', 'of the new card')
    .option('--old <mac>', 'of the card that is gone (default: the one it boots with)');
  edits(word).action((name: string, typed: string, flags: EditFlags & { old?: string }, self: Command) =>
    withJudged(
      desk,
      self,
      () => ({ mac: macOf('MAC', typed), old: flags.old === undefined ? undefined : macOf('--old', flags.old) }),
      async (farm, { mac, old }) => {
        const { value } = await found(farm, name);
        const before = deviceIn(value);
        const gone = old ?? before.macs[0] ?? '';
        if (flags.dryRun) {
          const device = { ...before, macs: before.macs.map((each) => (each === gone ? mac : each)) };
          return tell(desk, flags, `device ${name}: MAC ${gone} -> ${mac}\n`, { changed: mac !== gone, device });
        }
        const body = { mac, ...(old === undefined ? {} : { old }) };
        const path = farm.path('devices', name, 'replace-nic');
        const { value: after } = await farm.api.send<DeviceAnswer>('POST', path, { body });
        const device = deviceIn(after);
        const parts = differences(before, device);
        tell(desk, flags, says.became(name, parts), { changed: parts.length > 0, device });
      },
    ),
  );
}

function macOf(named: string, text: string): string {
  const mac = parseMac(text);
  if (mac !== undefined) return mac;
  throw new Refusal(`${named} ${text}: a MAC is six bytes in hex, like 52:54:00:12:34:56`);
}

function addRemove(desk: Desk, command: Command): void {
  edits(removeWord(command)).action((name: string, flags: EditFlags, self: Command) =>
    withFarm(desk, self, async (farm) => {
      const { value } = await found(farm, name);
      if (!flags.dryRun) await farm.api.send('DELETE', farm.path('devices', name));
      tell(desk, flags, says.removed(value), { removed: true, device: deviceIn(value) });
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
  edits(importWord(command)).action((file: string, flags: EditFlags & { skipBad?: boolean }, self: Command) =>
    withJudged(
      desk,
      self,
      async () => {
        const text = await (file === '-' ? desk.input.readAll() : desk.input.file(file)).catch((thrown: Error) => {
          throw new Refusal(`cannot read ${file}: ${thrown.message}`);
        });
        return readFile(text);
      },
      async (farm, read) => {
        const done = await importFile(farm, terminal, file, read, flags);
        tell(desk, flags, says.imported(done.added, done.unchanged, done.skipped), done);
      },
    ),
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
    .action((options: UnknownOptions, self: Command) =>
      withJudged(
        desk,
        self,
        () => unknownToAdd(options),
        async (farm, toAdd) => {
          const { output, watch = false } = options;
          if (!toAdd) {
            const look = () => unknownLook(desk, farm, output, watch);
            await watched(terminal, look, { isWatched: watch, everyMs: desk.watchMs, left: desk.left });
            return;
          }
          const { mac, ...body } = toAdd;
          const { value } = await farm.api.send<DeviceAnswer>('POST', farm.path('unknown', mac), { body });
          if (output === 'name') return terminal.out(`${value.name}\n`);
          const data = { dryRun: false, added: true, device: deviceIn(value) };
          terminal.out(output === 'text' ? says.added(value) : dataText(data, output as 'json'));
        },
      ),
    );
}

interface UnknownOptions extends Out {
  readonly add?: string;
  readonly name?: string;
  readonly collection?: string;
  readonly watch?: true;
}

/** Undefined: they are listed. */
function unknownToAdd({ add, name, collection }: UnknownOptions) {
  if (add === undefined) {
    if (name !== undefined || collection !== undefined) throw new Refusal('--name and --collection are of --add MAC');
    return undefined;
  }
  if (name === undefined || collection === undefined) throw new Refusal('--add needs --name and --collection');
  return { mac: macOf('--add', add), name, collection };
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
