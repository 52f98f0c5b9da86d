/** An order, done: here and now, by the functions of `store`; and what a person is told of it. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { inUnits } from '../kit/units.ts';
import { fetchBase } from '../store/base.ts';
import { type BootFiles, extractBootFiles } from '../store/bootfiles.ts';
import { type Converted, convertFile } from '../store/convert.ts';
import { fetchFile } from '../store/fetch.ts';
import { giveBack } from '../store/giveback.ts';
import { type Imported, importFile } from '../store/import.ts';
import { DEVICES_FILE, foreignTo, parseDevices, readOwner, vanished } from '../store/mark.ts';
import { type Exported, exportVDisk } from '../store/pvs/export.ts';
import { mergeVersions, type NewVersion, newVersion } from '../store/versions.ts';
import { type Order, placeOf } from './job.ts';

/** What work is given: its end, and whom it tells. */
export interface Running {
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  /** Why a try came to nothing, where another one comes. */
  readonly onAgain?: (why: string) => void;
  /** Which version it makes, once that is known: it begins when this is done. */
  readonly onVersion?: (version: number) => Promise<void>;
  /** Of jobs, below the state directory of a server. Absent: this is none of a server. */
  readonly jobs?: string | undefined;
}

export interface Outcome {
  /** As `-o json` prints it; null: there was nothing to do. */
  readonly made: unknown;
  /** For people, a line each. */
  readonly words: readonly string[];
}

export async function runOrder(order: Order, running: Running): Promise<Result<Outcome, Fault>> {
  const refused = await refusal(order, running.jobs);
  if (refused) return { ok: false, error: refused };
  switch (order.kind) {
    case 'convert': {
      const { kind: _, source, target, ...options } = order;
      const made = await convertFile(source, target, { ...options, ...running });
      return made.ok ? ok({ made: made.value, words: converted(made.value) }) : made;
    }
    case 'import': {
      const made = await importFile(order.source, order.target, running);
      return made.ok ? ok({ made: made.value, words: imported(made.value) }) : made;
    }
    case 'fetch': {
      if (order.asBase) return base(order, running);
      const onAgain = ({ message }: Fault): void => running.onAgain?.(message);
      const made = await fetchFile(order.target, { ...order, ...running, onAgain });
      return made.ok
        ? ok({ made: made.value, words: [`${order.target} is there, ${inUnits(made.value.sizeBytes)}`] })
        : made;
    }
    case 'boot-files': {
      const { folder, fileName, version } = order;
      const made = await extractBootFiles({ folder, fileName }, version, running);
      return made.ok ? ok({ made: made.value, words: [bootFilesLine(made)] }) : made;
    }
    case 'new-version': {
      const { kind: _, folder, fileName, ...options } = order;
      const made = await newVersion({ folder, fileName }, { ...options, ...running });
      if (!made.ok) return made;
      const { name, number, before, unchanged } = made.value;
      if (unchanged)
        return ok({ made: made.value, words: [`${order.from} shows what version ${number} shows: nothing is made`] });
      const first = `${name} is version ${number}, a difference of ${before}`;
      return ok({ made: made.value, words: [first, ...whatNext(made.value)] });
    }
    case 'export': {
      const { kind: _, folder, fileName, to, ...options } = order;
      const made = await exportVDisk({ folder, fileName }, to, { ...options, ...running });
      return made.ok ? ok({ made: made.value, words: exported(made.value) }) : made;
    }
    case 'give-back':
      return surplus(order, running);
    case 'merge':
      return merge(order, running);
    case 'upload':
      return fail('NotSupported', `${order.target}: what is uploaded comes from its command alone`);
  }
}

/** What the operator may order writes and removes nothing in a folder of another farm, nor where the disk of a store should be mounted. */
async function refusal(order: Order, jobs: string | undefined): Promise<Fault | undefined> {
  if (jobs === undefined || !isFarms(order)) return undefined;
  const { folder } = placeOf(order);
  try {
    const devices = parseDevices(await readFile(join(jobs, DEVICES_FILE), 'utf8').catch(() => ''));
    const device = devices[folder];
    const gone = device === undefined ? undefined : await vanished(folder, { device, system: jobs });
    if (gone !== undefined) return { code: 'StoreVanished', message: gone };
    const owner = await readOwner(dirname(jobs));
    const foreign = owner && (await foreignTo(folder, owner));
    return foreign === undefined ? undefined : { code: 'StoreForeign', message: foreign };
  } catch (thrown) {
    return { code: 'FileUnreadable', message: `${folder} cannot be looked at: ${errorMessage(thrown)}` };
  }
}

const isFarms = (order: Order): boolean =>
  order.kind === 'fetch' ? order.asBase === true : ['boot-files', 'merge', 'give-back'].includes(order.kind);

async function base(
  { target, url, sha256, sizeBytes }: Extract<Order, { readonly kind: 'fetch' }>,
  { signal, onProgress }: Running,
): Promise<Result<Outcome, Fault>> {
  const fetch = { url, sha256, signal, onProgress, ...(sizeBytes !== undefined && { sizeBytes }) };
  const made = await fetchBase(target, fetch);
  if (!made.ok) return made;
  const { path, bootFiles } = made.value;
  return ok({ made: made.value, words: [`${path} is there`, ...(bootFiles ? [bootFilesLine(bootFiles)] : [])] });
}

async function surplus(
  { folder, fileName, server, volume }: Extract<Order, { readonly kind: 'give-back' }>,
  { jobs, signal, onProgress }: Running,
): Promise<Result<Outcome, Fault>> {
  const socket = process.env['BOOTFARM_REPLICA_SOCKET'];
  // Its client is loaded where it is needed alone.
  const { askReplica } = await import('../replica/known.ts');
  const farm = async () =>
    socket === undefined
      ? fail(
          'FarmUnknown',
          'BOOTFARM_REPLICA_SOCKET names no follower: this is done in the container `work` of a server',
        )
      : askReplica(socket);
  const owner = jobs === undefined ? undefined : await readOwner(dirname(jobs));
  const made = await giveBack({ vdisk: { folder, fileName }, server, volume, farm }, { owner, signal, onProgress });
  if (!made.ok) return made;
  const { files } = made.value;
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return ok({ made: made.value, words: [`${files.length} files of ${fileName} are given back, ${inUnits(bytes)}`] });
}

async function merge(
  { folder, fileName, into, version, number: begun }: Extract<Order, { readonly kind: 'merge' }>,
  running: Running,
): Promise<Result<Outcome, Fault>> {
  const made = await mergeVersions({ folder, fileName }, into, {
    ...running,
    ...(version !== undefined && { version }),
    ...(begun !== undefined && { number: begun }),
  });
  if (!made.ok) return made;
  if (!made.value) {
    const why =
      version !== undefined
        ? `version ${version} is not its newest any more, or a base`
        : into === 'base'
          ? 'its newest version is a base'
          : 'its newest chain has no two updates';
    return ok({ made: null, words: [`${folder}/${fileName}: nothing to merge: ${why}`] });
  }
  const { name, number, before } = made.value;
  return ok({
    made: made.value,
    words: [`${name} is version ${number}, ${before} merged`, ...whatNext(made.value)],
  });
}

const converted = ({ path, diskBytes, fileBytes, meant }: Converted): readonly string[] => [
  `${path} is a disk of ${inUnits(diskBytes)}, in a file of ${inUnits(fileBytes)}`,
  ...(meant === undefined
    ? []
    : [`${meant} is beside it and is meant before it: remove it when it is not needed any more`]),
];

const imported = (made: Imported): readonly string[] => [
  ...converted(made),
  ...(made.bootFiles ? [bootFilesLine(made.bootFiles)] : []),
];

const bootFilesLine = (taken: Result<BootFiles, Fault>): string =>
  taken.ok
    ? `${taken.value.kernel} and ${taken.value.initrd} are those of kernel ${taken.value.version}, out of the image`
    : `without kernel and initrd: ${taken.error.message}`;

export const assumedWords = (assumed: readonly number[]): readonly string[] =>
  assumed.length > 0
    ? [
        `access of ${assumed.length === 1 ? 'version' : 'versions'} ${assumed.join(', ')} is assumed, for no manifest says it: give the VDisk by --resource`,
      ]
    : [];

function exported({ folder, manifestName, versions, linked, copied, kept, assumed }: Exported): readonly string[] {
  const files = [
    ...(linked.length > 0
      ? [`${linked.length} are the very files of the store under a second name (who changes one changes both)`]
      : []),
    ...(copied.length > 0 ? [`${copied.length} were copied`] : []),
    ...(kept.length > 0 ? [`${kept.length} were there`] : []),
  ];
  return [
    `${folder} has versions ${versions.join(', ')} and ${manifestName}: ${files.join(', ')}`,
    ...assumedWords(assumed),
  ];
}

function whatNext({ number, fileBytes, bootFiles, before, lessBytes }: NewVersion): readonly string[] {
  return [
    ...(lessBytes === undefined
      ? []
      : [`its disk has ${inUnits(lessBytes)} less than that of ${before}: what is behind its end is in it no more`]),
    `its file has ${inUnits(fileBytes)}${bootFiles.length > 0 ? `; ${bootFiles.join(' and ')} are copied from those of ${before}` : ''}`,
    `release it by \`bootfarm vdisk promote NAMESPACE/NAME ${number} --access Maintenance\`: the other servers take it then, and devices of that class boot it once they have`,
  ];
}
