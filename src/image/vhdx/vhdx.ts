/** A VHDX read in place: fixed, dynamic or differencing, which its metadata say and its name does not. What is in it is judged by the pure files beside this. */
import { fail, ok, type Result } from '../../kit/result.ts';
import { type About, BELOW, type BlockImage, type BlockMap, blockFormat, ZEROS } from '../blocks.ts';
import type { OpenFault, ParentFacts, ReadFault } from '../disk.ts';
import { type ImageFile, ofFile } from '../file.ts';
import type { Area } from '../overlap.ts';
import { BlockTable, chunksOf, ENTRY_BYTES, MAX_BLOCKS } from './bat.ts';
import {
  creatorOf,
  findHeader,
  HEAD_BYTES,
  HEADERS,
  type Header,
  isVhdx,
  MIB,
  oddHeaders,
  REGION_TABLES,
} from './header.ts';
import { decodeLocator, idOf } from './locator.ts';
import { MAX_LOG_BYTES, replay } from './log.ts';
import { decodeItems, decodeShape, type Item, METADATA_TABLE_BYTES, type ReadShape, type Shape } from './metadata.ts';
import { findRegions, oddRegions, type Region, type Regions } from './region.ts';
import { createVhdx } from './writer.ts';

export const vhdx = blockFormat('.vhdx', '.avhdx', load, createVhdx);

/** In the order of [MS-VHDX] 2.2: the header, its log, and with that in its place the regions and what they hold. */
async function load(file: ImageFile): Promise<Result<BlockImage, OpenFault>> {
  const { path } = file;
  const heads = await readHeads(file);
  if (!heads.ok) return heads;
  const header = ofFile(path, findHeader(heads.value.headers));
  if (!header.ok) return header;
  const replayed = await layLog(file, header.value);
  if (!replayed.ok) return replayed;
  const tables = await readAll(file, REGION_TABLES);
  if (!tables.ok) return tables;
  const regions = ofFile(path, findRegions(tables.value, file.sizeBytes));
  if (!regions.ok) return regions;
  const metadata = await readMetadata(file, regions.value.metadata);
  if (!metadata.ok) return metadata;
  const { shape, parent } = metadata.value;
  const table = await readTable(file, regions.value, shape, header.value);
  if (!table.ok) return table;
  const { sizeBytes, blockSize } = shape;
  const facts = { sizeBytes, blockSize, id: idOf(header.value.dataWriteGuid), ...(parent ? { parent } : {}) };
  const about = (): About => ({
    subformat: parent ? 'differencing' : shape.isFixed ? 'fixed' : 'dynamic',
    creator: creatorOf(heads.value.head),
    odd: [
      ...oddHeaders(heads.value.headers),
      ...oddRegions(tables.value),
      ...(file.sizeBytes % MIB === 0 ? [] : [`its file has ${file.sizeBytes} bytes, which are no whole MiB`]),
    ],
    areas: [...areasOf(regions.value, header.value.logArea), ...table.value.bitmaps()],
    reserved: [...table.value.reserved()],
    prefixBytes: 0,
  });
  return ok({ facts, map: mapOf(shape, table.value), about });
}

interface Heads {
  /** The first bytes of the file. */
  readonly head: Buffer;
  readonly headers: readonly Buffer[];
}

async function readHeads(file: ImageFile): Promise<Result<Heads, OpenFault>> {
  const { path, sizeBytes } = file;
  const head = await file.read(0, Math.min(HEAD_BYTES, sizeBytes));
  if (!head.ok) return head;
  if (!isVhdx(head.value)) return fail('ImageInvalid', `${path} does not begin as a VHDX: it is none; copy it again`);
  if (sizeBytes < MIB)
    return fail(
      'FileCut',
      `${path} has ${sizeBytes} bytes, and the head alone of a VHDX has ${MIB}: it was cut; copy it again`,
    );
  const headers = await readAll(file, HEADERS);
  return headers.ok ? ok({ head: head.value, headers: headers.value }) : headers;
}

async function readAll(
  file: ImageFile,
  { offsets, bytes }: { readonly offsets: readonly number[]; readonly bytes: number },
): Promise<Result<readonly Buffer[], ReadFault>> {
  const all: Buffer[] = [];
  for (const offset of offsets) {
    const read = await file.read(offset, bytes);
    if (!read.ok) return read;
    all.push(read.value);
  }
  return ok(all);
}

async function layLog(file: ImageFile, { log }: Header): Promise<Result<undefined, OpenFault>> {
  if (!log) return ok(undefined);
  const { path, sizeBytes } = file;
  const { offset, length } = log;
  if (offset < MIB || offset % MIB !== 0 || length === 0 || length % MIB !== 0)
    return fail('ImageInvalid', `${path}: its log has ${length} bytes at ${offset}: it is damaged; copy it again`);
  if (offset > sizeBytes || length > sizeBytes - offset)
    return fail(
      'FileCut',
      `${path} has ${sizeBytes} bytes, and its log ends at ${offset + length}: it was cut; copy it again`,
    );
  if (length > MAX_LOG_BYTES)
    return fail(
      'NotSupported',
      `${path} was not closed, and its log has ${length} bytes, of which this release reads ${MAX_LOG_BYTES}: attach and detach it where it was made, then copy it again`,
    );
  const bytes = await file.read(offset, length);
  if (!bytes.ok) return bytes;
  const replayed = ofFile(path, replay(bytes.value, log, sizeBytes));
  if (!replayed.ok) return replayed;
  file.lay(replayed.value.pages, replayed.value.sizeBytes);
  return ok(undefined);
}

interface Metadata {
  readonly shape: ReadShape;
  readonly parent: ParentFacts | undefined;
}

async function readMetadata(file: ImageFile, region: Region): Promise<Result<Metadata, OpenFault>> {
  const { path } = file;
  const table = await file.read(region.offset, METADATA_TABLE_BYTES);
  if (!table.ok) return table;
  const items = ofFile(path, decodeItems(table.value, region.length));
  if (!items.ok) return items;
  const { fileParameters, diskSize, logicalSector, parentLocator } = items.value;
  if (!fileParameters || !diskSize || !logicalSector)
    return fail(
      'ImageInvalid',
      `${path} does not say all of its size, its blocks and its sectors: it is damaged; copy it again`,
    );
  const parts: Buffer[] = [];
  for (const { offset, length } of [fileParameters, diskSize, logicalSector]) {
    const part = await file.read(region.offset + offset, length);
    if (!part.ok) return part;
    parts.push(part.value);
  }
  const shape = ofFile(path, decodeShape(...(parts as [Buffer, Buffer, Buffer])));
  if (!shape.ok) return shape;
  if (!shape.value.hasParent) return ok({ shape: shape.value, parent: undefined });
  const parent = await readLocator(file, region, parentLocator);
  return parent.ok ? ok({ shape: shape.value, parent: parent.value }) : parent;
}

async function readLocator(
  file: ImageFile,
  region: Region,
  item: Item | undefined,
): Promise<Result<ParentFacts, OpenFault>> {
  if (!item)
    return fail(
      'ImageInvalid',
      `${file.path} does not say which image it is a difference of: it is damaged; copy it again`,
    );
  const bytes = await file.read(region.offset + item.offset, item.length);
  return bytes.ok ? ofFile(file.path, decodeLocator(bytes.value)) : bytes;
}

async function readTable(
  file: ImageFile,
  regions: Regions,
  shape: Shape,
  { log }: Header,
): Promise<Result<BlockTable, OpenFault>> {
  const { path } = file;
  const { offset, length } = regions.blockTable;
  const chunks = chunksOf(shape);
  const needed = chunks.entries * ENTRY_BYTES;
  if (needed > length)
    return fail(
      'ImageInvalid',
      `${path}: its block table has ${length} bytes, and a disk of ${shape.sizeBytes} needs ${needed}: it is damaged; copy it again`,
    );
  if (chunks.blocks > MAX_BLOCKS)
    return fail(
      'NotSupported',
      `${path} has ${chunks.blocks} blocks, and this release reads ${MAX_BLOCKS}: convert it to larger ones`,
    );
  const table = new BlockTable(shape, chunks);
  for (let done = 0; done < needed; done += MIB) {
    const bytes = await file.read(offset + done, Math.min(MIB, needed - done));
    if (!bytes.ok) return bytes;
    const fault = table.take(bytes.value, done / ENTRY_BYTES);
    if (fault) return ofFile(path, { ok: false, error: fault });
  }
  const fault = table.judge(file.sizeBytes, areasOf(regions, log));
  return fault ? ofFile(path, { ok: false, error: fault }) : ok(table);
}

const areasOf = ({ blockTable, metadata, all }: Regions, log: Header['logArea'] | undefined): readonly Area[] => [
  { what: 'head', start: 0, end: MIB },
  ...(log ? [{ what: 'log', start: log.offset, end: log.offset + log.length }] : []),
  ...all.map((region) => ({
    what: region === blockTable ? 'block table' : region === metadata ? 'metadata' : `region ${region.guid}`,
    start: region.offset,
    end: region.offset + region.length,
  })),
];

const mapOf = ({ sizeBytes, blockSize, blockBytes }: Shape, table: BlockTable): BlockMap => ({
  sizeBytes,
  blockSize,
  blockBytes,
  dataAt: (block) => (table.isHere(block) ? table.dataAt(block) : table.isZero(block) ? ZEROS : BELOW),
  bitmapAt: (block) => table.bitmapAt(block),
  highestFirst: false,
});
