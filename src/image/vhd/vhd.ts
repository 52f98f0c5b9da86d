/** A VHD read in place: fixed, dynamic or differencing, which its footer says and its name does not. What is in it is judged in `footer.ts` and `header.ts`. */
import { fail, ok, type Result } from '../../kit/result.ts';
import { type About, BELOW, type BlockImage, type BlockMap, blockFormat, oneBlock, ZEROS } from '../blocks.ts';
import { type ImageFacts, type OpenFault, type ReadFault, SECTOR_BYTES } from '../disk.ts';
import { type ImageFile, ofFile } from '../file.ts';
import { MAX_HINT_BYTES, namesOf } from '../hints.ts';
import { FOOTER_BYTES, type Footer, type FoundFooter, findFooter, oddOf } from './footer.ts';
import {
  ABSENT,
  areasOf,
  bitmapBytes,
  decodeHeader,
  decodeTable,
  HEADER_BYTES,
  type Header,
  judgeTable,
  type Table,
  tableBytes,
} from './header.ts';
import { hintsOf, isRead, type LocatorText } from './locators.ts';
import { createVhd } from './writer.ts';

export const vhd = blockFormat('.vhd', '.avhd', load, createVhd);

async function load(file: ImageFile): Promise<Result<BlockImage, OpenFault>> {
  const { path, sizeBytes } = file;
  if (sizeBytes < FOOTER_BYTES - 1)
    return fail('ImageInvalid', `${path} has ${sizeBytes} bytes: it is no VHD, or was cut; copy it again`);
  const ends = await file.ends(FOOTER_BYTES, FOOTER_BYTES);
  if (!ends.ok) return ends;
  const found = ofFile(path, findFooter(ends.value.head, ends.value.tail));
  if (!found.ok) return found;
  return found.value.footer.type === 'fixed' ? fixed(file, found.value) : growing(file, found.value, ends.value.head);
}

/** No image has it. */
const NO_ID = 'vhd:none';
/** Zeros are none: what is made by hand has them, and would be everybody's parent. */
const idOf = (hex: string): Pick<ImageFacts, 'id' | 'idStays'> =>
  /^0*$/.test(hex) ? {} : { id: `vhd:${hex}`, idStays: true };

function fixed(file: ImageFile, found: FoundFooter): Result<BlockImage, OpenFault> {
  const { footer, tailBytes } = found;
  const { sizeBytes, id } = footer;
  const endBytes = file.sizeBytes - tailBytes;
  if (sizeBytes > endBytes)
    return fail(
      'FileCut',
      `${file.path} has ${endBytes} bytes before its footer, which says ${sizeBytes}: it was cut; copy it again`,
    );
  const map = oneBlock(sizeBytes, 0);
  const between = endBytes - sizeBytes;
  const more = between > 0 ? [`${between} bytes lie between its disk and its footer`] : [];
  const about = (): About => ({
    subformat: 'fixed',
    creator: footer.creator,
    odd: [...oddOf(found, undefined), ...more],
    areas: [{ what: 'footer', start: endBytes, end: file.sizeBytes }],
    prefixBytes: 0,
  });
  return ok({ facts: { sizeBytes, ...idOf(id) }, map, about });
}

async function growing(file: ImageFile, found: FoundFooter, head: Buffer): Promise<Result<BlockImage, OpenFault>> {
  const { footer, tailBytes, unchecked } = found;
  const { path } = file;
  const headerOffset = Number(footer.headerOffset);
  const bytes = await within(file, 'header', headerOffset, HEADER_BYTES);
  if (!bytes.ok) return bytes;
  const decoded = ofFile(path, decodeHeader(bytes.value, footer.sizeBytes, unchecked));
  if (!decoded.ok) return decoded;
  const header = decoded.value;
  const read = await within(file, 'block table', header.tableOffset, tableBytes(header));
  if (!read.ok) return read;
  const table = decodeTable(read.value);
  const { sizeBytes } = footer;
  const layout = { ...header, sizeBytes, headerOffset, endBytes: file.sizeBytes - tailBytes };
  const fault = judgeTable(table, layout);
  if (fault) return ofFile(path, { ok: false, error: fault });
  const map = mapOf(footer, header, table);
  const facts = { sizeBytes, ...idOf(footer.id) };
  const about = (): About => ({
    subformat: footer.type,
    creator: footer.creator,
    odd: oddOf(found, head),
    areas: [...areasOf(headerOffset, header), { what: 'footer', start: layout.endBytes, end: file.sizeBytes }],
    prefixBytes: bitmapBytes(header.blockBytes),
  });
  if (footer.type === 'dynamic') return ok({ facts, map, about });
  const locators = await readLocators(file, header);
  if (!locators.ok) return locators;
  const names = namesOf(hintsOf(locators.value, header.parentName));
  return ok({ facts: { ...facts, parent: { names, ids: [idOf(header.parentId).id ?? NO_ID] } }, map, about });
}

async function within(
  file: ImageFile,
  what: string,
  offset: number,
  length: number,
): Promise<Result<Buffer, OpenFault>> {
  if (offset <= file.sizeBytes && length <= file.sizeBytes - offset) return file.read(offset, length);
  const message = `${file.path} has ${file.sizeBytes} bytes, and its ${what} ends at ${offset + length}: it was cut; copy it again`;
  return fail('FileCut', message);
}

/** A hint that lies elsewhere than in the file is none. */
async function readLocators(file: ImageFile, { locators }: Header): Promise<Result<readonly LocatorText[], ReadFault>> {
  const texts: LocatorText[] = [];
  for (const { platform, length, offset } of locators) {
    const at = Number(offset);
    if (!isRead(platform) || length > MAX_HINT_BYTES || at > file.sizeBytes || length > file.sizeBytes - at) continue;
    const bytes = await file.read(at, length);
    if (!bytes.ok) return bytes;
    texts.push({ platform, bytes: bytes.value });
  }
  return ok(texts);
}

/** Of a disk that is no difference the bitmaps are not asked: see the README. */
function mapOf({ type, sizeBytes }: Footer, { blockBytes }: Header, table: Table): BlockMap {
  const bitmap = bitmapBytes(blockBytes);
  const absent = type === 'dynamic' ? ZEROS : BELOW;
  const sectorOf = (block: number): number => table[block] ?? ABSENT;
  const dataAt = (block: number): number =>
    sectorOf(block) === ABSENT ? absent : sectorOf(block) * SECTOR_BYTES + bitmap;
  const bitmapAt = (block: number): number | undefined =>
    type === 'dynamic' || sectorOf(block) === ABSENT ? undefined : sectorOf(block) * SECTOR_BYTES;
  return { sizeBytes, blockSize: 512, blockBytes, dataAt, bitmapAt, highestFirst: true };
}
