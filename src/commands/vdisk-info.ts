/** `bootfarm vdisk info|check|map`: what images are, whether they are whole, and where their bytes lie. Nothing is written, nobody is asked. */
import { type Command, Option } from 'commander';
import { type CheckedImage, checkChain } from '../image/check.ts';
import type { Disk, OpenFault } from '../image/disk.ts';
import { type DescribedChain, type DescribedImage, describeChain } from '../image/facts.ts';
import { openImage } from '../image/images.ts';
import { type MapEntry, type MapOptions, mapDisk } from '../image/map.ts';
import { given } from '../kit/given.ts';
import { inUnits } from '../kit/units.ts';
import { type Beside, besidePath } from '../store/beside.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Output } from './vdisk-out.ts';

/** As `qemu-img check` ends. */
const STATUS = { faulty: 1, leaks: 3 } as const;

interface Options {
  readonly output: 'text' | 'json';
}

/** `out`: where a map goes, which may be large: absent, as all else. */
export function addInfoCommands(command: Command, terminal: Terminal, out?: Output): void {
  /** Each file by itself, in turn; of several, the worst status: a fault before leaks, and JSON is one array. */
  const word = (name: string, description: string, one: (path: string, options: Options) => Promise<number>): Command =>
    command
      .command(name)
      .description(description)
      .argument('<file...>', 'images, by the names that they have in the folder of a store')
      .addOption(
        new Option('-o, --output <format>', 'how; JSON of several files is an array')
          .choices(['text', 'json'])
          .default('text'),
      )
      .action(async (files: readonly string[], options: Options) => {
        const isArray = files.length > 1 && options.output === 'json';
        const statuses: number[] = [];
        for (const [at, file] of files.entries()) {
          if (isArray) terminal.out(at === 0 ? '[\n' : ',\n');
          statuses.push(await one(file, options));
        }
        if (isArray) terminal.out(']\n');
        const status = statuses.includes(STATUS.faulty) ? STATUS.faulty : Math.max(...statuses);
        if (status !== 0) terminal.fail(status);
      });
  const fault = ({ message }: OpenFault): number => {
    terminal.err(`error: ${message}\n`);
    return STATUS.faulty;
  };
  const json = (value: unknown): void => terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);
  /** Of a file of which there is nothing else: an array has one of each. */
  const faultOf = (path: string, error: OpenFault, { output }: Options): number => {
    if (output === 'json') json({ path, error });
    return fault(error);
  };

  word('info', 'what an image says of itself, and each that it is a difference of', async (path, options) => {
    const chain = await describeChain(path);
    if (!chain.ok) return faultOf(path, chain.error, options);
    if (options.output === 'json') json(chainJson(chain.value));
    else terminal.out(chain.value.images.map(infoText).join('\n'));
    return chain.value.missing ? fault(chain.value.missing) : 0;
  });

  word('check', 'whether an image is whole, and each that it is a difference of', async (path, { output }) => {
    const checked = await checkChain(path);
    const beside = await besidePath(path);
    const said = checked.ok ? { images: checked.value } : { error: checked.error };
    if (output === 'json') json({ path, whole: checked.ok, ...said, ...beside });
    if (!checked.ok) return fault(checked.error);
    if (output === 'text') terminal.out(checked.value.map(checkText).join('') + besideText(path, beside));
    return checked.value.some(({ leakedBytes }) => leakedBytes > 0) ? STATUS.leaks : 0;
  }).addHelpText(
    'after',
    `
Ends as qemu-img check does: with 0 if all is whole; 1 if an image cannot be served (its message says why); 3 if all can
be read and a file has room that nothing leads to. Tables, the bitmaps of differences and parents are read; content is not.`,
  );

  word('map', 'where each piece of a disk lies: what qemu-img map prints', async (path, options) => {
    const described = await describeChain(path);
    if (!described.ok) return faultOf(path, described.error, options);
    const opened = await openImage(path);
    if (!opened.ok) return faultOf(path, opened.error, options);
    const failed = await tellMap(terminal, out, {
      disk: opened.value,
      isWhole: isWholeFile(described.value),
      rows: options.output === 'json' ? AS_JSON : AS_TEXT,
    });
    return failed ? fault(failed) : 0;
  });
}

/** What a file of fixed size, or a raw one, has as holes is zeros. */
function isWholeFile({ images: [image] }: DescribedChain): MapOptions {
  const subformat = image?.description.subformat;
  return { plain: subformat === undefined, wholeFiles: subformat === undefined || subformat === 'fixed' };
}

interface Mapping {
  readonly disk: Disk;
  readonly isWhole: MapOptions;
  readonly rows: Rows;
}

/** As it comes, and no faster than it is taken. */
async function tellMap(
  terminal: Terminal,
  out: Output | undefined,
  { disk, isWhole, rows: { begin, row, end } }: Mapping,
): Promise<OpenFault | undefined> {
  let isHeard = true;
  // Nobody reads it any more, as behind `| head`.
  const unheard = (): void => {
    isHeard = false;
  };
  out?.on('error', unheard);
  const rows = gathered(async (text) => {
    if (out) await given(out, Buffer.from(text)).catch(unheard);
    else terminal.out(text);
  });
  try {
    await rows.add(begin);
    let [isFirst, failed] = [true, undefined as OpenFault | undefined];
    for await (const entry of mapDisk(disk, isWhole)) {
      if (!isHeard) return undefined;
      if (entry.ok) await rows.add(row(entry.value, isFirst));
      else failed = entry.error;
      isFirst = false;
    }
    await rows.add(end);
    await rows.flush();
    return failed;
  } finally {
    await disk.close();
  }
}

/** So much of a map is written at once: an image can be made to have one of gigabytes. */
const AT_ONCE = 1 << 16;

function gathered(write: (text: string) => Promise<void>) {
  let texts: string[] = [];
  let length = 0;
  const flush = async (): Promise<void> => {
    const text = texts.join('');
    [texts, length] = [[], 0];
    if (text !== '') await write(text);
  };
  return {
    flush,
    add: async (text: string): Promise<void> => {
      texts.push(text);
      length += text.length;
      if (length >= AT_ONCE) await flush();
    },
  };
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

interface Rows {
  readonly begin: string;
  readonly row: (entry: MapEntry, isFirst: boolean) => string;
  readonly end: string;
}

/** A line an entry, as qemu-img has it. */
const AS_JSON: Rows = {
  begin: '[',
  row: (entry, isFirst) => `${isFirst ? '' : ',\n'}${JSON.stringify(entry)}`,
  end: ']\n',
};

const hex = (value: number): string => (value === 0 ? '0' : `0x${value.toString(16)}`);

const textRow = (...cells: readonly string[]): string =>
  `${cells.map((cell, index) => (index < 3 ? cell.padEnd(16) : cell)).join('')}\n`;

/** Of what is data alone. What lies in a log has no place in a file. */
const AS_TEXT: Rows = {
  begin: textRow('Offset', 'Length', 'Mapped to', 'File'),
  row: ({ start, length, offset, filename, data, zero }) =>
    data && !zero ? textRow(hex(start), hex(length), offset === undefined ? 'log' : hex(offset), filename ?? '') : '',
  end: '',
};
