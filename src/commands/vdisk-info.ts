/** `bootfarm vdisk info|check|map`: what images are, whether they are whole, and where their bytes lie. Nothing is written, nobody is asked. */
import { type Command, Option } from 'commander';
import { type CheckedImage, checkChain } from '../image/check.ts';
import type { OpenFault } from '../image/disk.ts';
import { type DescribedChain, type DescribedImage, describeChain } from '../image/facts.ts';
import { openImage } from '../image/images.ts';
import { type MapEntry, mapDisk } from '../image/map.ts';
import { inUnits } from '../kit/units.ts';
import { type Beside, besidePath } from '../store/beside.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** As `qemu-img check` ends. */
const STATUS = { faulty: 1, leaks: 3 } as const;

interface Options {
  readonly output: 'text' | 'json';
}

export function addInfoCommands(command: Command, terminal: Terminal): void {
  /** Each file by itself, in turn; of several, the worst status: a fault before leaks. */
  const word = (name: string, description: string, one: (path: string, options: Options) => Promise<number>): Command =>
    command
      .command(name)
      .description(description)
      .argument('<file...>', 'images, by the names that they have in the folder of a store')
      .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'))
      .action(async (files: readonly string[], options: Options) => {
        const statuses: number[] = [];
        for (const file of files) statuses.push(await one(file, options));
        const status = statuses.includes(STATUS.faulty) ? STATUS.faulty : Math.max(...statuses);
        if (status !== 0) terminal.fail(status);
      });
  const fault = ({ message }: OpenFault): number => {
    terminal.err(`error: ${message}\n`);
    return STATUS.faulty;
  };
  const json = (value: unknown): void => terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);

  word('info', 'what an image says of itself, and each that it is a difference of', async (path, { output }) => {
    const chain = await describeChain(path);
    if (!chain.ok) return fault(chain.error);
    if (output === 'json') json(chainJson(chain.value));
    else terminal.out(chain.value.images.map(infoText).join('\n'));
    return chain.value.missing ? fault(chain.value.missing) : 0;
  });

  word('check', 'whether an image is whole, and each that it is a difference of', async (path, { output }) => {
    const checked = await checkChain(path);
    const beside = await besidePath(path);
    if (output === 'json')
      json(checked.ok ? { images: checked.value, ...beside } : { error: checked.error, ...beside });
    if (!checked.ok) return fault(checked.error);
    if (output === 'text') terminal.out(checked.value.map(checkText).join('') + besideText(path, beside));
    return checked.value.some(({ leakedBytes }) => leakedBytes > 0) ? STATUS.leaks : 0;
  }).addHelpText(
    'after',
    `
Ends as qemu-img check does: with 0 if all is whole; 1 if an image cannot be served (its message says why); 3 if all can
be read and a file has room that nothing leads to. Tables, the bitmaps of differences and parents are read; content is not.`,
  );

  word('map', 'where each piece of a disk lies: what qemu-img map prints', async (path, { output }) => {
    const described = await describeChain(path);
    if (!described.ok) return fault(described.error);
    const opened = await openImage(path);
    if (!opened.ok) return fault(opened.error);
    const disk = opened.value;
    try {
      const [image] = described.value.images;
      const { subformat } = image?.description ?? {};
      const entries: MapEntry[] = [];
      const kind = { plain: subformat === undefined, wholeFiles: subformat === undefined || subformat === 'fixed' };
      for await (const entry of mapDisk(disk, kind)) {
        if (!entry.ok) return fault(entry.error);
        entries.push(entry.value);
      }
      terminal.out(output === 'json' ? mapJson(entries) : mapText(entries));
      return 0;
    } finally {
      await disk.close();
    }
  });
}

const chainJson = ({ images, missing }: DescribedChain): unknown => ({
  images: images.map(({ description: { facts, layout, ...said }, ...image }) => ({
    ...image,
    diskBytes: facts.sizeBytes,
    sectorBytes: facts.blockSize ?? 512,
    ...(facts.id === undefined ? {} : { id: idOf(facts.id) }),
    ...(facts.parent ? { parent: { names: facts.parent.names, ids: facts.parent.ids?.map(idOf) } } : {}),
    ...said,
    ...(layout ? { blocks: layout.blocks } : {}),
  })),
  ...(missing ? { missing } : {}),
});

/** Without the name of its format. */
const idOf = (id: string): string => id.slice(id.indexOf(':') + 1);

function infoText({ path, format, fileBytes, usedBytes, description }: DescribedImage): string {
  const { facts, subformat, blockBytes, creator, loggedBytes, odd, layout } = description;
  const parent =
    facts.parent && `${facts.parent.names.join(', ') || '-'} (${facts.parent.ids?.map(idOf).join(' or ')})`;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['image', path],
    ['file format', subformat ? `${format}, ${subformat}` : format],
    ['virtual size', bytesText(facts.sizeBytes)],
    ['file size', bytesText(fileBytes)],
    ['disk size', bytesText(usedBytes)],
    ['sector size', String(facts.blockSize ?? 512)],
    ['block size', blockBytes === undefined ? undefined : String(blockBytes)],
    ['blocks', blockBytes === undefined ? undefined : blocksText(layout?.blocks)],
    ['identifier', facts.id && idOf(facts.id)],
    ['creator', creator],
    ['difference of', parent],
    ['log', loggedBytes === undefined ? undefined : `not replayed: ${bytesText(loggedBytes)}; read over the file`],
    ...odd.map((what) => ['odd', what] as const),
  ];
  return rows.flatMap(([name, value]) => (value ? [`${name}: ${value}\n`] : [])).join('');
}

const blocksText = (blocks: CheckedImage['blocks']): string | undefined =>
  blocks && `${blocks.here} of ${blocks.all} are here${blocks.partly > 0 ? `, ${blocks.partly} in part` : ''}`;

const bytesText = (bytes: number): string => `${inUnits(bytes)} (${bytes} bytes)`;

function checkText({ path, blocks, leakedBytes, odd }: CheckedImage): string {
  const lines = [
    `${path}: whole${blocks ? `; of its blocks ${blocksText(blocks)}` : ''}`,
    ...odd.map((what) => `${path}: odd: ${what}`),
    ...(leakedBytes > 0 ? [`${path}: ${leakedBytes} bytes of the file are led to by nothing`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function besideText(path: string, { before, instead }: Beside): string {
  if (before !== undefined) return `${path}: servers take ${before} beside it, and not this one\n`;
  return instead === undefined ? '' : `${path}: servers take it, and not ${instead} beside it\n`;
}

/** A line an entry, as qemu-img has it. */
const mapJson = (entries: readonly MapEntry[]): string =>
  `[${entries.map((entry) => JSON.stringify(entry)).join(',\n')}]\n`;

const hex = (value: number): string => (value === 0 ? '0' : `0x${value.toString(16)}`);

/** Of what is data alone. What lies in a log has no place in a file. */
function mapText(entries: readonly MapEntry[]): string {
  const row = (...cells: readonly string[]): string =>
    `${cells.map((cell, index) => (index < 3 ? cell.padEnd(16) : cell)).join('')}\n`;
  return [
    row('Offset', 'Length', 'Mapped to', 'File'),
    ...entries
      .filter(({ data, zero }) => data && !zero)
      .map(({ start, length, offset, filename }) =>
        row(hex(start), hex(length), offset === undefined ? 'log' : hex(offset), filename ?? ''),
      ),
  ].join('');
}
