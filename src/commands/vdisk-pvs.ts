/** `bootfarm vdisk takeover`: a vDisk that PVS left in a folder, as a VDisk. Thin over `store/pvs`. */
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { parse } from '../resources/parse.ts';
import { type FoundVDisk, type FoundVersion, findVDisk, vdisksIn } from '../store/pvs/folder.ts';
import type { VDiskFiles } from '../store/versions.ts';
import { inUnits } from './progress.ts';
import { attempt, must, Refusal } from './refusal.ts';
import { type TakenOver, takeOver } from './takeover.ts';
import type { Terminal } from './terminal.ts';

/** Something lacks, and what is there is told. */
const STATUS_LACKS = 3;

interface TakeoverFlags {
  readonly output: 'yaml' | 'json' | 'text';
  readonly name?: string;
  readonly namespace?: string;
  readonly farm: string;
  readonly store: string;
}

export function addPvs(command: Command, terminal: Terminal): void {
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
access of each version is assumed, and said. Ends with 0; with 3 if something lacks, which is said.`,
    )
    .action((target: string, flags: TakeoverFlags) => attempt(terminal, () => takeover(terminal, target, flags)));
}

async function takeover(terminal: Terminal, target: string, { output, ...flags }: TakeoverFlags): Promise<void> {
  const found = must(await findVDisk(await vdiskAt(target)));
  const { name = found.fileName.toLowerCase().replace(/[^a-z0-9-]+/g, '-'), namespace, farm, store } = flags;
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

/** `target`: a folder with one vDisk, or a vDisk in its folder. */
async function vdiskAt(target: string): Promise<VDiskFiles> {
  const path = resolve(target);
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isFolder) return { folder: dirname(path), fileName: basename(path, '.xml') };
  const [fileName, ...others] = must(await vdisksIn(path));
  if (fileName === undefined) throw new Refusal(`${path} has no image of a vDisk (.vhdx, .vhd, .raw)`);
  if (others.length > 0)
    throw new Refusal(`${path} has the vDisks ${[fileName, ...others].join(', ')}: name one, as ${path}/${fileName}`);
  return { folder: path, fileName };
}

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

function versionText({ number, type, access, scheduledAt, diskFileName, image, properties }: FoundVersion): string {
  const released = scheduledAt === undefined ? '' : ` from ${new Date(scheduledAt).toISOString()}`;
  const [, parent] = image.ok ? image.value.chain : [];
  return [
    `version ${number}: ${diskFileName}${parent === undefined ? '' : ` on ${parent}`}`,
    `${type}, ${access}${released}`,
    ...(image.ok ? [`${inUnits(image.value.diskBytes)} in a file of ${inUnits(image.value.fileBytes)}`] : []),
    properties ? '.pvp' : 'no .pvp',
  ].join(', ');
}
