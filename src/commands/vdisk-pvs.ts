/** `bootfarm vdisk takeover|export`: a vDisk that PVS left in a folder, as a VDisk; and a folder that PVS imports. Thin over `store/pvs`. */
import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { parse as parseYaml, stringify } from 'yaml';
import { errorMessage } from '../kit/errors.ts';
import { inUnits } from '../kit/units.ts';
import type { VDisk } from '../resources/kinds.ts';
import { parse } from '../resources/parse.ts';
import { type FoundVDisk, type FoundVersion, findVDisk } from '../store/pvs/folder.ts';
import { attempt, must, Refusal, versionNumber } from '../terminal/refusal.ts';
import { inputOfProcess, type Terminal } from '../terminal/terminal.ts';
import { isFileName, renameLines, statedBy, type TakenOver, takeOver } from './takeover.ts';
import { vdiskAt } from './vdisk-at.ts';
import { parseBytes } from './vdisk-in.ts';
import { exportTarOut, type Output } from './vdisk-out.ts';
import { doOrder, type OrderFlags, orderOptions } from './work.ts';

/** Something lacks, and what is there is told. */
const STATUS_LACKS = 3;

interface TakeoverFlags {
  readonly output: 'yaml' | 'json' | 'text';
  readonly name?: string;
  readonly namespace?: string;
  readonly farm: string;
  readonly store: string;
}

export function addPvs(command: Command, terminal: Terminal, out: Output = process.stdout): void {
  addTakeover(command, terminal);
  addExport(command, terminal, out);
}

function addTakeover(command: Command, terminal: Terminal): void {
  command
    .command('takeover')
    .description(
      'a vDisk as PVS left it in a folder, with its manifest (.xml) and properties (.pvp), as a VDisk for git',
    )
    .argument('<folder-or-name>', 'the folder, or where it has several vDisks one of them: /srv/vdisks/lab')
    .option('--name <name>', 'of the VDisk (default: as its files, in small letters)')
    .option('--namespace <namespace>', 'of the VDisk (default: none is written)')
    .option('--farm <name>', 'its Farm', 'farm')
    .option('--store <name>', 'its Store', 'local')
    .addOption(
      new Option('-o, --output <format>', 'text: what is there, what lacks, and what has no place in a VDisk')
        .choices(['yaml', 'json', 'text'])
        .default('yaml'),
    )
    .addHelpText(
      'after',
      `
Example:
  bootfarm vdisk takeover /srv/vdisks/lab >lab.yaml
No file is changed. Without a manifest (PVS keeps what it says in its database, and writes it when a vDisk is exported) the
access of each version is assumed, and said: Maintenance of the newest where it is a difference, else Production. Ends with 0;
with 3 if something lacks, which is said: kernel and initrd, too, of which PVS has none.`,
    )
    .action((target: string, flags: TakeoverFlags) => attempt(terminal, () => takeover(terminal, target, flags)));
}

interface ExportFlags extends OrderFlags {
  readonly to?: string;
  readonly tar?: string;
  readonly offset: number;
  readonly version?: readonly string[];
  readonly resource?: string;
}

function addExport(command: Command, terminal: Terminal, out: Output): void {
  orderOptions(command.command('export'))
    .description('a folder with images, properties and a manifest of versions, as PVS imports it and takeover reads it')
    .argument('<name>', 'the vDisk: its folder, and its fileName')
    .option('--to <folder>', 'where; it is made where it is not there')
    .option('--tar <target>', 'instead of --to: -, as one archive (tar) to standard output; the store needs no room')
    .option('--offset <bytes>', 'of --tar: how many came before it broke off', parseBytes, 0)
    .option('--version <number...>', 'these, and all that they are differences of (default: all)')
    .option(
      '--resource <file>',
      'the VDisk, as `kubectl get vd lab -o yaml` has it (-: from standard input): access, dates and descriptions are those',
    )
    .addHelpText(
      'after',
      `
Example, with what the farm says of versions:
  kubectl get vd lab -o yaml | kubectl exec -i deploy/main-NODE -c work -- \\
    bootfarm vdisk export /srv/vdisks/lab --to /srv/vdisks/for-pvs --resource -
The same in a file here, all sizes, holes as zeros; it fails if a file is changed meanwhile, and its size and SHA-256 are said at the end:
  kubectl get vd lab -o yaml | kubectl exec -i deploy/main-NODE -c work -- \\
    bootfarm vdisk export /srv/vdisks/lab --tar - --resource - >lab.tar
Without --resource access is as a manifest in the folder says it, and else assumed as takeover does, and said. With it a version
that it does not name is Maintenance.
Images get a second name where that is possible, but those in maintenance, which PVS writes; all else is copied. Nothing is
overwritten; the same command goes on with what was interrupted. The manifest comes last: a folder without it is not whole.`,
    )
    .action((target: string, { to, tar, offset, version, resource, ...flags }: ExportFlags) =>
      attempt(terminal, async () => {
        const numbers = version?.map((text) => versionNumber('version', text));
        const stated = resource === undefined ? undefined : statedBy(await readVDisk(resource));
        const chosen = { ...(numbers && { numbers }), ...(stated && { stated: [...stated] }) };
        if (tar !== undefined && to === undefined)
          return exportTarOut(terminal, target, { ...chosen, target: tar, offset }, out);
        if (to === undefined || tar !== undefined)
          throw new Refusal('name a folder by --to, or write --tar - for standard output: one of them');
        if (offset > 0)
          throw new Refusal('--offset is of --tar alone: the same command with --to goes on by itself, without it');
        const vdisk = await vdiskAt(target);
        await doOrder(terminal, flags, () => ({
          ...{ kind: 'export', ...vdisk, to: resolve(to) },
          ...chosen,
        }));
      }),
    );
}

async function readVDisk(file: string): Promise<VDisk> {
  try {
    const read = parseYaml(await (file === '-' ? inputOfProcess.readAll() : inputOfProcess.file(file)));
    if (read?.kind !== 'VDisk') {
      const what = read === null || read === undefined ? 'is empty' : `is ${read?.kind ? `a ${read.kind}` : 'none'}`;
      throw new Refusal(
        `--resource ${file} is to be a VDisk, and ${what}: give it what \`kubectl get vd NAME -o yaml\` prints, of one VDisk`,
      );
    }
    // Takeover writes none: what is asked of it is in its spec.
    return must(parse('VDisk', { ...read, metadata: { namespace: 'default', ...read?.metadata } }));
  } catch (thrown) {
    if (thrown instanceof Refusal) throw thrown;
    throw new Refusal(`--resource ${file} cannot be read: ${errorMessage(thrown)}`);
  }
}

async function takeover(terminal: Terminal, target: string, { output, ...flags }: TakeoverFlags): Promise<void> {
  const found = must(await findVDisk(await vdiskAt(target)));
  const { name = nameAfter(found.fileName), namespace, farm, store } = flags;
  if (!OBJECT_NAME.test(name) || name.length > MAX_NAME)
    throw new Refusal(
      `--name ${name}: it must be small letters, digits, - and ., ${MAX_NAME} at most, and begin and end with a letter or a digit`,
    );
  if (namespace !== undefined && !(LABEL.test(namespace) && namespace.length <= MAX_LABEL))
    throw new Refusal(
      `--namespace ${namespace}: it must be small letters, digits and -, ${MAX_LABEL} at most, and begin and end with a letter or a digit`,
    );
  if (!isFileName(found.fileName)) throw new Refusal(await renaming(found));
  const named = { name, farm, store, ...(namespace === undefined ? {} : { namespace }) };
  const taken = takeOver(found, named, Date.now());
  const { resource, lacks, assumed, left } = taken;
  if (resource.spec.versions.length === 0)
    throw new Refusal(`no version of ${found.fileName} can be taken over: ${lacks.join('; ')}`);
  must(parse('VDisk', { ...resource, metadata: { namespace: 'default', ...resource.metadata } }));
  if (lacks.length > 0) terminal.fail(STATUS_LACKS);
  if (output === 'text') return terminal.out(`${textOf(found, taken).join('\n')}\n`);
  if (output === 'json') return terminal.out(`${JSON.stringify(taken, undefined, 2)}\n`);
  terminal.out(stringify(resource));
  for (const line of notesOf({ lacks, assumed, left })) terminal.err(`${line}\n`);
}

/** As Kubernetes has names: RFC 1123. */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME = 253;

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const MAX_LABEL = 63;

async function renaming({ folder, fileName }: FoundVDisk): Promise<string> {
  const lines = renameLines(folder, fileName, (await readdir(folder)).sort());
  return [
    `${fileName}: fileName of a VDisk has letters, digits, ., _ and - alone, and does not end as a version does (.1): rename its files, where nobody uses them, and take it over by that name:`,
    ...lines.map((line) => `  ${line}`),
  ].join('\n');
}

const nameAfter = (fileName: string): string =>
  fileName
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '');

const notesOf = ({ lacks, assumed, left }: Pick<TakenOver, 'lacks' | 'assumed' | 'left'>): readonly string[] => [
  ...lacks.map((what) => `lacks: ${what}`),
  ...assumed.map((what) => `assumed: ${what}`),
  ...left.map((what) => `not taken over: ${what}`),
];

function textOf(found: FoundVDisk, taken: TakenOver): readonly string[] {
  const { folder, fileName, manifestName, versions } = found;
  const by = manifestName === undefined ? 'without a manifest' : `by ${manifestName}`;
  const boots = taken.boots === undefined ? 'boots nothing' : `boots version ${taken.boots}`;
  return [
    `${fileName} in ${folder}: ${versions.length} versions ${by}, ${boots}`,
    ...versions.map(versionText),
    ...notesOf(taken),
  ];
}

function versionText(version: FoundVersion): string {
  const { number, type, access, scheduledAt, diskFileName, isAssumed, image, properties } = version;
  // What it is nobody said, and it cannot.
  if (isAssumed && !image.ok) return `version ${number}: ${diskFileName}, which cannot be read`;
  const released = scheduledAt === undefined ? '' : ` from ${new Date(scheduledAt).toISOString()}`;
  const [, parent] = image.ok ? image.value.chain : [];
  return [
    `version ${number}: ${diskFileName}${parent === undefined ? '' : ` on ${parent}`}`,
    `${type}, ${access}${released}`,
    ...(image.ok ? [`${inUnits(image.value.diskBytes)} in a file of ${inUnits(image.value.fileBytes)}`] : []),
    properties ? '.pvp' : 'no .pvp',
  ].join(', ');
}
