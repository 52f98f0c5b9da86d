/** How a difference names its parent: by locators, one a platform, and by the name in its header. Source: as `header.ts`, "Parent Locator Entries". Pure. */
import type { Hint } from '../hints.ts';

/** In the order in which they are believed; the header's name is last. Of `Mac ` (an alias, binary) no path is known. */
const PLATFORMS: readonly { readonly platform: string; readonly read: (bytes: Buffer) => Hint | undefined }[] = [
  { platform: 'W2ru', read: (bytes) => ({ path: utf16(bytes), relative: true }) },
  { platform: 'W2ku', read: (bytes) => ({ path: utf16(bytes) }) },
  { platform: 'MacX', read: (bytes) => fileUrl(bytes.toString('utf8')) },
  { platform: 'Wi2r', read: (bytes) => ({ path: bytes.toString('latin1'), relative: true }) },
  { platform: 'Wi2k', read: (bytes) => ({ path: bytes.toString('latin1') }) },
];

export const isRead = (platform: string): boolean => PLATFORMS.some((known) => known.platform === platform);

export interface LocatorText {
  readonly platform: string;
  readonly bytes: Buffer;
}

export const hintsOf = (locators: readonly LocatorText[], parentName: string): readonly Hint[] => [
  ...PLATFORMS.flatMap(({ platform, read }) =>
    locators.filter((locator) => locator.platform === platform).flatMap(({ bytes }) => read(bytes) ?? []),
  ),
  { path: parentName },
];

/** The parent lies beside the image: so the relative path says it, and the other one has no more to say than its name. */
export const encodeLocators = (name: string): readonly LocatorText[] => [
  { platform: 'W2ku', bytes: Buffer.from(name, 'utf16le') },
  { platform: 'W2ru', bytes: Buffer.from(`.\\${name}`, 'utf16le') },
];

/** Of an odd number of bytes the last is none. */
const utf16 = (bytes: Buffer): string => bytes.toString('utf16le');

/** Of Virtual PC for the Mac and of Xen: `file:///Users/…`, `file://./lab.vhd`. A path without the scheme is taken as it is. */
function fileUrl(text: string): Hint | undefined {
  const path = text.replace(/^file:\/\//, '').replace(/\0[\s\S]*$/, '');
  try {
    return { path: decodeURIComponent(path), relative: !path.startsWith('/') };
  } catch {
    return undefined; // a lone percent sign
  }
}
