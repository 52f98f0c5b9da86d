/**
 * How a VHDX names its parent: keys and values, UTF-16. Little-endian. Source: [MS-VHDX] 2.6.2.6. Pure.
 *
 * ```
 * 0 type GUID (16)   16 (2)   18 entries (2)   then each: 0 key's offset (4)   4 value's offset (4)   8 key's bytes (2)   10 value's bytes (2)
 * ```
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import type { ImageFault, ParentFacts } from '../disk.ts';
import { namesOf } from '../hints.ts';
import { guidAt, guidBytes, NO_GUID, parseGuid } from './guid.ts';
import { COPY_AGAIN } from './header.ts';

/** 2.6.2.6.3: that of a VHDX; others are of other programs. */
const VHDX_PARENT = 'b04aefb7-d19e-4a81-b789-25b8e9445913';
const PATHS = [{ key: 'relative_path', relative: true }, { key: 'absolute_win32_path' }, { key: 'volume_path' }];

/** A locator of Windows has six entries. */
const MAX_ENTRIES = 64;
const MAX_KEY_BYTES = 64;

/** Beside `parent_linkage` the second one is right, too: of a parent into which another was merged. All zeros (Windows 10) it is none. */
const LINKAGES = ['parent_linkage', 'parent_linkage2'];
const KEYS: ReadonlySet<string> = new Set([...LINKAGES, ...PATHS.map(({ key }) => key)]);

export function decodeLocator(bytes: Buffer): Result<ParentFacts, ImageFault> {
  const type = guidAt(bytes, 0);
  if (type !== VHDX_PARENT)
    return fail(
      'NotSupported',
      `it is a difference of what a locator of type ${type} names, and this release knows that of a VHDX`,
    );
  const values = valuesOf(bytes);
  const guids = LINKAGES.map((key) => parseGuid(values.get(key) ?? ''));
  const ids = guids.filter((guid) => guid !== undefined && guid !== NO_GUID).map((guid) => idOf(guid ?? NO_GUID));
  if (ids.length === 0) return fail('ImageInvalid', `it does not say which image it is a difference of: ${COPY_AGAIN}`);
  const hints = PATHS.map(({ key, ...hint }) => ({ ...hint, path: values.get(key) ?? '' }));
  return ok({ names: namesOf(hints), ids });
}

/** Of the keys that are asked for: others may say anything, and as much of it as they like. */
function valuesOf(bytes: Buffer): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const many = Math.min(bytes.readUInt16LE(18), Math.floor((bytes.length - 20) / 12), MAX_ENTRIES);
  for (let index = 0; index < many; index++) {
    const at = 20 + 12 * index;
    const key = textAt(bytes, bytes.readUInt32LE(at), Math.min(bytes.readUInt16LE(at + 8), MAX_KEY_BYTES));
    if (KEYS.has(key)) values.set(key, textAt(bytes, bytes.readUInt32LE(at + 4), bytes.readUInt16LE(at + 10)));
  }
  return values;
}

/** Beyond the locator is nothing. */
const textAt = (bytes: Buffer, offset: number, length: number): string =>
  bytes
    .subarray(offset, offset + length)
    .toString('utf16le')
    .replace(/\0[\s\S]*$/, '');

export const idOf = (dataWriteGuid: string): string => `vhdx:${dataWriteGuid}`;

/** It lies beside the image, so that the relative path is all there is to say. */
export function encodeLocator({ name, id }: { readonly name: string; readonly id: string }): Buffer {
  const values = { parent_linkage: `{${id.replace(idOf(''), '')}}`, relative_path: `.\\${name}` };
  const texts = Object.entries(values).map(
    (pair) => pair.map((text) => Buffer.from(text, 'utf16le')) as [Buffer, Buffer],
  );
  const head = Buffer.alloc(20 + 12 * texts.length);
  guidBytes(VHDX_PARENT).copy(head);
  head.writeUInt16LE(texts.length, 18);
  let end = head.length;
  for (const [index, [key, value]] of texts.entries()) {
    const at = 20 + 12 * index;
    head.writeUInt32LE(end, at);
    head.writeUInt32LE(end + key.length, at + 4);
    head.writeUInt16LE(key.length, at + 8);
    head.writeUInt16LE(value.length, at + 10);
    end += key.length + value.length;
  }
  return Buffer.concat([head, ...texts.flat()]);
}
