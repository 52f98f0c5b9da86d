/**
 * The manifest of a vDisk: its versions, as PVS writes them when it is exported. Source: what its console imports, as a script of Guy Leech (2020) makes it, and
 * the values of `DiskVersion` in PVS's PowerShell. Pure.
 *
 * ```
 * <versionManifest>
 *   <startingVersion>0</startingVersion>
 *   <version> versionNumber  description  type  access  createDate  scheduledDate  deleteWhenFree  diskFileName  size  lastWriteTime </version> …
 * </versionManifest>
 * ```
 */
import { parseXml, XmlElement } from '@rgrove/parse-xml';
import { errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';
import { formatDate, parseDate } from './dates.ts';

/** By number. */
export const TYPES = ['Base', 'Manual', 'Automatic', 'Merge', 'MergeBase'] as const;
export const ACCESSES = [
  ...['Production', 'Maintenance', 'MaintenanceHighestVersion', 'Override'],
  ...['Merge', 'MergeMaintenance', 'MergeTest', 'Test'],
] as const;

export interface PvsVersion {
  readonly number: number;
  readonly description: string;
  readonly type: (typeof TYPES)[number];
  readonly access: (typeof ACCESSES)[number];
  /** Unix milliseconds, as all dates here. */
  readonly createdAt?: number;
  /** Released then. Absent: at once. */
  readonly scheduledAt?: number;
  /** It was merged, and goes when nobody uses it. */
  readonly deleteWhenFree: boolean;
  /** In the folder of the manifest. */
  readonly diskFileName: string;
  /** Of the file. Absent: it was not there when the manifest was written. */
  readonly sizeBytes?: number;
  readonly writtenAt?: number;
}

export interface PvsManifest {
  /** The lowest that was exported. */
  readonly startingVersion: number;
  /** In the order of the file. */
  readonly versions: readonly PvsVersion[];
}

/**
 * - `NotXml`: no text, no well-formed document, or one with a document type.
 * - `NotManifest`: another document.
 * - `TooLarge`: more than a manifest can have.
 * - `ElementInvalid`: an element lacks, is there twice, or says what it cannot say.
 */
export type ManifestFault = Fault<'NotXml' | 'NotManifest' | 'TooLarge' | 'ElementInvalid'>;

/** A version takes half a KiB. */
const MAX_BYTES = 1 << 20;
const MAX_VERSIONS = 1_000;
/** Of a name in a folder, and of what a person writes, in characters. */
const MAX_NAME = 255;
const MAX_DESCRIPTION = 4_000;

export function decodeManifest(bytes: Uint8Array): Result<PvsManifest, ManifestFault> {
  if (bytes.length > MAX_BYTES)
    return fail('TooLarge', `it has ${bytes.length} bytes, and a manifest ${MAX_BYTES} at most`);
  const text = textOf(bytes);
  const root = text.ok ? rootOf(text.value) : text;
  if (!root.ok) return root;
  if (root.value.name !== 'versionManifest')
    return fail('NotManifest', `it is a <${root.value.name}>, and a manifest of PVS is a <versionManifest>`);
  const elements = childrenOf(root.value);
  const versions = elements.filter(({ name }) => name === 'version');
  if (versions.length > MAX_VERSIONS)
    return fail('TooLarge', `it has ${versions.length} versions, and a manifest ${MAX_VERSIONS} at most`);
  if (versions.length === 0) return fail('ElementInvalid', 'it has no version: export the vDisk again');
  try {
    const startingVersion = wholeNumber(new Element('the manifest', elements), 'startingVersion');
    const decoded = versions.map(decodeVersion);
    const twice = decoded.find(({ number }, index) => decoded.findIndex((other) => other.number === number) < index);
    if (twice) throw new Refusal(`version ${twice.number} is there twice`);
    return ok({ startingVersion, versions: decoded });
  } catch (thrown) {
    if (thrown instanceof Refusal) return fail('ElementInvalid', thrown.message);
    throw thrown;
  }
}

function textOf(bytes: Uint8Array): Result<string, ManifestFault> {
  const encoding = encodingOf(Buffer.from(bytes.subarray(0, 100)));
  try {
    return ok(new TextDecoder(encoding, { fatal: true }).decode(bytes));
  } catch {
    return fail('NotXml', `it cannot be read as ${encoding}: save it as UTF-8`);
  }
}

/** Byte order marks, and how a document begins without one. XML 1.0, appendix F. */
const UTF_16 = { fffe: 'utf-16le', '3c00': 'utf-16le', feff: 'utf-16be', '003c': 'utf-16be' } as const;
const DECLARED = /^<\?xml [^>]*encoding *= *["']([\w.-]+)["']/;

/** As it says; UTF-8 if it says nothing. One of single bytes that says UTF-16 is what .NET makes of a string. */
function encodingOf(head: Buffer): string {
  const declared = DECLARED.exec(head.toString('latin1'))?.[1]?.toLowerCase() ?? 'utf-8';
  const [, wide] = Object.entries(UTF_16).find(([begin]) => head.toString('hex', 0, 2) === begin) ?? [];
  return wide ?? (declared.startsWith('utf-16') ? 'utf-8' : declared);
}

function rootOf(text: string): Result<XmlElement, ManifestFault> {
  if (/<!DOCTYPE/i.test(text)) return fail('NotXml', 'it has a document type, and PVS writes none');
  try {
    const { root } = parseXml(text);
    return root ? ok(root) : fail('NotXml', 'it has no element');
  } catch (thrown) {
    const [first = ''] = errorMessage(thrown).split('\n');
    return fail('NotXml', `it is no XML: ${first}`);
  }
}

/** What says less than it must; a fault outside. */
class Refusal extends Error {}

const childrenOf = ({ children }: XmlElement): XmlElement[] => children.filter((child) => child instanceof XmlElement);

/** Of `what`, as messages name it. */
class Element {
  readonly what: string;
  readonly #texts = new Map<string, string>();

  constructor(what: string, children: readonly XmlElement[]) {
    this.what = what;
    for (const { name, text } of children) {
      if (name === 'version') continue;
      if (this.#texts.has(name)) throw new Refusal(`${what} has <${name}> twice`);
      this.#texts.set(name, text.trim());
    }
  }

  /** Empty, too, where it is not there. */
  text(name: string): string {
    return this.#texts.get(name) ?? '';
  }

  refuse(name: string, wanted: string): never {
    throw new Refusal(`${this.what} has <${name}> ${JSON.stringify(this.text(name).slice(0, 80))}, and ${wanted}`);
  }
}

function decodeVersion(element: XmlElement, index: number): PvsVersion {
  const children = childrenOf(element);
  const number = wholeNumber(new Element(`the version at place ${index + 1}`, children), 'versionNumber');
  const version = new Element(`version ${number}`, children);
  return {
    number,
    description: bounded(version, 'description', MAX_DESCRIPTION),
    type: named(version, 'type', TYPES),
    access: named(version, 'access', ACCESSES),
    ...optional('createdAt', date(version, 'createDate')),
    ...optional('scheduledAt', date(version, 'scheduledDate')),
    deleteWhenFree: flag(version, 'deleteWhenFree'),
    diskFileName: fileName(version),
    ...optional('sizeBytes', version.text('size') === '' ? undefined : wholeNumber(version, 'size')),
    ...optional('writtenAt', date(version, 'lastWriteTime')),
  };
}

const optional = <Key extends string>(key: Key, value: number | undefined): { readonly [K in Key]?: number } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: number });

function wholeNumber(element: Element, name: string): number {
  const text = element.text(name);
  return /^\d{1,15}$/.test(text) ? Number(text) : element.refuse(name, 'it is a whole number');
}

function named<Name extends string>(element: Element, name: string, names: readonly Name[]): Name {
  const found = names[wholeNumber(element, name)];
  const known = names.map((each, number) => `${number} ${each}`).join(', ');
  return found ?? element.refuse(name, `this release knows ${known}`);
}

/** .NET writes `True`, its scripts 1. */
function flag(element: Element, name: string): boolean {
  const text = element.text(name).toLowerCase();
  if (text === '1' || text === 'true') return true;
  if (text === '0' || text === 'false' || text === '') return false;
  return element.refuse(name, 'it is 0 or 1');
}

function date(element: Element, name: string): number | undefined {
  const text = element.text(name);
  if (text === '') return undefined;
  return parseDate(text) ?? element.refuse(name, 'a date is as 2020-02-11 10:41:07, UTC: correct it');
}

function bounded(element: Element, name: string, most: number): string {
  const text = element.text(name);
  return text.length <= most ? text : element.refuse(name, `it has ${most} characters at most`);
}

function fileName(element: Element): string {
  const name = bounded(element, 'diskFileName', MAX_NAME);
  if (name === '' || name === '.' || name === '..' || /[/\\:]|\p{Cc}/u.test(name))
    return element.refuse('diskFileName', 'it is the name of a file in the folder of the manifest');
  return name;
}

/** As PVS writes it, in UTF-8 with a byte order mark. Texts that XML cannot hold lose what it cannot. */
export function encodeManifest({ startingVersion, versions }: PvsManifest): Buffer {
  const lines = [
    '\ufeff<?xml version="1.0" encoding="utf-8"?>',
    '<versionManifest>',
    `  <startingVersion>${startingVersion}</startingVersion>`,
    ...versions.flatMap((version) => ['  <version>', ...encodeVersion(version), '  </version>']),
    '</versionManifest>',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n`);
}

function encodeVersion(version: PvsVersion): string[] {
  const dateText = (ms: number | undefined): string => (ms === undefined ? '' : formatDate(ms));
  const elements = {
    versionNumber: version.number,
    description: version.description,
    type: TYPES.indexOf(version.type),
    access: ACCESSES.indexOf(version.access),
    createDate: dateText(version.createdAt),
    scheduledDate: dateText(version.scheduledAt),
    deleteWhenFree: version.deleteWhenFree ? 1 : 0,
    diskFileName: version.diskFileName,
    size: version.sizeBytes ?? '',
    lastWriteTime: dateText(version.writtenAt),
  };
  return Object.entries(elements).map(([name, value]) => `    <${name}>${escaped(String(value))}</${name}>`);
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#xD;' };

/** XML 1.0, 2.2: no other control characters, not FFFE and FFFF. A lone surrogate becomes U+FFFD, as in all UTF-8. */
const escaped = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is left out
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '')
    .replace(/[&<>\r]/g, (character) => ENTITIES[character] ?? character);
