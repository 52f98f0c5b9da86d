/** A program of Debian that is given a file of somebody: bounded, no shell, what it says taken as it comes. */
import { spawn } from 'node:child_process';
import { CANCELLED } from '../image/copy.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export type ToolFault = Fault<'ImageInvalid' | 'ToolMissing' | 'Cancelled' | 'NoSpace'>;

export interface ToolRun {
  /** As `prlimit` has them. */
  readonly bounds: readonly string[];
  /** What it may end with. */
  readonly accepted: readonly number[];
  readonly signal?: AbortSignal | undefined;
  /** Of its standard output; the next is read when it resolves. */
  readonly onBytes: (bytes: Buffer) => void | Promise<void>;
}

/** As strerror(3) says ENOSPC: it could read, and not write. */
const FULL = 'No space left on device';
/** Of what it says when it fails. */
const SAID_CHARACTERS = 500;

/** `ImageInvalid`: it ended otherwise, and with its own words. */
export async function runTool(
  program: string,
  words: readonly string[],
  { bounds, accepted, signal, onBytes }: ToolRun,
): Promise<Result<undefined, ToolFault>> {
  const child = spawn('prlimit', [...bounds, program, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal && { signal }),
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, SAID_CHARACTERS);
  });
  const ended = new Promise<Result<undefined, ToolFault>>((resolve) => {
    child.on('error', (error) => {
      if (signal?.aborted) resolve({ ok: false, error: CANCELLED });
      else resolve(fail('ToolMissing', `${program} cannot be run: ${error.message}`));
    });
    child.on('close', (code, killed) => {
      if (code !== null && accepted.includes(code)) return resolve(ok(undefined));
      const said = complaint.trim().replace(new RegExp(`^${program}: (?:error: )?`), '');
      const why =
        said.replaceAll(/\s*\n\s*/g, '; ') || (killed ? `it was ended by ${killed}` : `it ended with ${code}`);
      if (said.includes(FULL)) resolve(fail('NoSpace', `${program}: ${why}: make room there, or write elsewhere`));
      else resolve(fail('ImageInvalid', `${program} cannot read it: ${why}`));
    });
  });
  try {
    for await (const bytes of child.stdout) await onBytes(bytes as Buffer);
  } catch (thrown) {
    child.kill();
    await ended;
    throw thrown;
  }
  return ended;
}
