/** An image of another program as one of ours: qemu-img makes a raw one beside the target, which is converted and goes. */
import { spawn } from 'node:child_process';
import { unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CANCELLED, type WorkFault } from '../image/copy.ts';
import {
  asOneFile,
  FOREIGN_HEAD_BYTES,
  type ForeignFault,
  type ForeignFormat,
  foreignFormat,
  judgeInfo,
} from '../image/foreign.ts';
import { openRegular, PARTIAL } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { type Converted, type ConvertFileOptions, convertFile, targetOf } from './convert.ts';
import { freeBytes } from './room.ts';

export type ImportFault = WorkFault | ForeignFault | Fault<'ImageInvalid' | 'NoSpace' | 'ToolMissing'>;

/** An image may be made to cost: of memory qemu-img takes some 50 MiB, and of a processor a second a GB; six hours are for the largest. */
const BOUNDS = ['--as=1073741824', '--nofile=64', '--core=0', '--cpu=21600'];
/** What `qemu-img check` ends with; 63: it knows no check of that format. */
const WHOLE_OR_LEAKS = [0, 3, 63];
/** Of what it says when it fails. */
const SAID_CHARACTERS = 500;
const GIB = 1 << 30;

/** `source`: qcow2, VMDK (monolithicSparse, streamOptimized) or VDI, with no file beside it. What the earlier try left is done again. */
export async function importFile(
  source: string,
  target: string,
  options: ConvertFileOptions = {},
): Promise<Result<Converted, ImportFault>> {
  const { signal, onProgress } = options;
  const path = targetOf(target, options.format);
  if (!path.ok) return path;
  const from = resolve(source);
  const format = await formatOf(from);
  if (!format.ok) return format;
  const image = asOneFile(from, format.value);
  // What lies beyond the end of a file that was cut would be zeros, without a word.
  const checked = await qemuImg(WHOLE_OR_LEAKS, signal, ['check', '-q', image]);
  if (!checked.ok) return checked;
  const info = await qemuImg([0], signal, ['info', '--output=json', image]);
  if (!info.ok) return info;
  const size = judgeInfo(source, info.value);
  if (!size.ok) return size;
  const lacks = await room(dirname(resolve(path.value)), size.value, path.value);
  if (lacks) return { ok: false, error: lacks };
  const raw = `${path.value}${PARTIAL}.raw`;
  try {
    const total = 2 * size.value;
    const told = (percent: number): void => onProgress?.((percent / 100) * size.value, total);
    const words = ['convert', '-p', '-O', 'raw', '-t', 'none', '-T', 'none', image, resolve(raw)];
    const made = await qemuImg([0], signal, words, told);
    if (!made.ok) return made;
    return await convertFile(raw, target, {
      ...options,
      ...(onProgress && { onProgress: (done) => onProgress(size.value + done, total) }),
    });
  } finally {
    await unlink(raw).catch(() => undefined); // it was not made
  }
}

async function formatOf(path: string): Promise<Result<ForeignFormat, ImportFault>> {
  const opened = await openRegular(path);
  if (!opened.ok) return opened;
  const { file, stats } = opened.value;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(FOREIGN_HEAD_BYTES), 0, FOREIGN_HEAD_BYTES, 0);
    return foreignFormat(path, buffer.subarray(0, bytesRead), Number(stats.size));
  } finally {
    await file.close();
  }
}

/** The raw image and the target, where all of the disk is data. */
async function room(folder: string, bytes: number, target: string): Promise<ImportFault | undefined> {
  const free = await freeBytes(folder);
  if (free >= 2 * bytes) return undefined;
  const gib = (n: number): string => `${(n / GIB).toFixed(1)} GiB`;
  const message = `${folder} has ${gib(free)} free, and to make ${target} may take ${gib(2 * bytes)}: make room, or import on a machine that has it and bring what is made`;
  return { code: 'NoSpace', message };
}

/** What it says on standard output. */
function qemuImg(
  accepted: readonly number[],
  signal: AbortSignal | undefined,
  words: readonly string[],
  onPercent?: (percent: number) => void,
): Promise<Result<string, ImportFault>> {
  return new Promise((done) => {
    const child = spawn('prlimit', [...BOUNDS, 'qemu-img', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal && { signal }),
    });
    let out = '';
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const percent = /\((\d+\.\d+)\/100%\)\s*$/.exec(text)?.[1];
      if (onPercent === undefined) out += text;
      else if (percent !== undefined) onPercent(Number(percent));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, SAID_CHARACTERS);
    });
    child.on('error', (error) => {
      if (signal?.aborted) done({ ok: false, error: CANCELLED });
      else done(fail('ToolMissing', `qemu-img cannot be run: ${error.message}`));
    });
    child.on('close', (code, killed) => {
      if (code !== null && accepted.includes(code)) return done(ok(out));
      const why =
        complaint.trim().replace(/^qemu-img: /, '') || (killed ? `it was ended by ${killed}` : `it ended with ${code}`);
      done(fail('ImageInvalid', `qemu-img cannot read it: ${why}`));
    });
  });
}
