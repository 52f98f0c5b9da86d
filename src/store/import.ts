/** An image of another program as one of ours: qemu-img makes a raw one beside the target, which is converted and goes. */
import { rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { ConvertOptions } from '../image/convert.ts';
import { asOneFile, type ForeignFault, judgeInfo, judgeMeasure } from '../image/foreign.ts';
import { nameTaken } from '../image/partial.ts';
import { PARTIAL } from '../kit/file.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import { alone } from './alone.ts';
import { foreignFormatOf } from './arrived.ts';
import {
  type BootFiles,
  type BootFilesFault,
  bootFilesBeside,
  removeBootFiles,
  type TakenBootFiles,
} from './bootfiles.ts';
import { type Converted, type ConvertFault, type ConvertFileOptions, convertInFolder, targetOf } from './convert.ts';
import { qemuImg } from './qemu.ts';
import { roomFor } from './room.ts';
import type { ToolFault } from './tool.ts';

export interface Imported extends Converted {
  /** Kernel and initrd that were found in it, or why none; absent: they lay there already. */
  readonly bootFiles?: Result<BootFiles, BootFilesFault>;
}

export type ImportFault = ConvertFault | ForeignFault | ToolFault;

/** What `qemu-img check` ends with; 63: it knows no check of that format. */
const WHOLE_OR_LEAKS = [0, 3, 63];

/** `source`: qcow2, VMDK (monolithicSparse, streamOptimized) or VDI, with no file beside it. What the earlier try left is done again. */
export async function importFile(
  source: string,
  target: string,
  { format, ...options }: ConvertFileOptions = {},
): Promise<Result<Imported, ImportFault>> {
  const path = targetOf(target, format);
  return path.ok ? alone(dirname(path.value), () => importAlone(source, path.value, options)) : path;
}

async function importAlone(
  source: string,
  target: string,
  options: ConvertOptions,
): Promise<Result<Imported, ImportFault>> {
  const { signal, onProgress } = options;
  const from = resolve(source);
  const format = await foreignFormatOf(from);
  if (!format.ok) return format;
  const taken = await nameTaken(target);
  if (taken) return { ok: false, error: taken };
  const image = asOneFile(from, format.value);
  const ask = async (accepted: readonly number[], ...words: readonly string[]) =>
    ofSource(source, await qemuImg(accepted, signal, [...words, image]));
  // What lies beyond the end of a file that was cut would be zeros, without a word.
  const checked = await ask(WHOLE_OR_LEAKS, 'check', '-q');
  if (!checked.ok) return checked;
  const info = await ask([0], 'info', '--output=json');
  if (!info.ok) return info;
  const size = judgeInfo(source, info.value);
  if (!size.ok) return size;
  const measured = await ask([0], 'measure', '--output=json', '-O', 'qcow2');
  if (!measured.ok) return measured;
  const raw = `${target}${PARTIAL}.raw`;
  // A run that was killed left it, and it takes the room of this one.
  await rm(raw, { force: true });
  // The raw image and the target have what is data.
  const room = await roomFor(dirname(target), target, 2 * judgeMeasure(measured.value, size.value));
  if (!room.ok) return room;
  try {
    const total = 2 * size.value;
    const told = (percent: number): void => onProgress?.((percent / 100) * size.value, total);
    const words = ['convert', '-p', '-O', 'raw', '-t', 'none', '-T', 'none', image, resolve(raw)];
    const made = ofSource(source, await qemuImg([0], signal, words, told));
    if (!made.ok) return made;
    let found: Result<TakenBootFiles, BootFilesFault> | undefined;
    const beforeName = async (): Promise<undefined> => {
      found = await bootFilesBeside(raw, target, signal);
    };
    const converted = await convertInFolder(raw, target, {
      ...options,
      beforeName,
      ...(onProgress && { onProgress: (done) => onProgress(size.value + done, total) }),
    });
    if (converted.ok) {
      const bootFiles = found?.ok ? ok(found.value.bootFiles) : found;
      return ok({ ...converted.value, ...(bootFiles && { bootFiles }) });
    }
    if (found?.ok) await removeBootFiles(found.value);
    return converted;
  } finally {
    await rm(raw, { force: true });
  }
}

/** Whose fault it is that qemu-img told. */
const ofSource = (source: string, said: Result<string, ToolFault>): Result<string, ToolFault> =>
  said.ok || said.error.code !== 'ImageInvalid'
    ? said
    : fail('ImageInvalid', `${source}: ${said.error.message}; bring it again, or another one`);
