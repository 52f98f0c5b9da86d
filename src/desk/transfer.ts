/** A disk on its way to a server or from one: what breaks off is gone on with, and what the server says of it is heard. */
import { StringDecoder } from 'node:string_decoder';
import { type Progress, progressOn } from '../terminal/progress.ts';
import { Ended, Refusal } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Desk } from './desk.ts';
import type { Streams } from './exec.ts';
import { EXIT } from './exit.ts';
import type { Digest } from './local.ts';

/** Runs a command in the container of a server. */
export type RunIn = (words: readonly string[], streams?: Partial<Streams>) => Promise<number>;

/** Tries in a row of which none brought a byte further. */
const TRIES = 5;
const PAUSE_MS = 1_000;
/** As a shell says it of SIGKILL and SIGTERM: the container ended, and the command with it. */
const DIED: ReadonlySet<number> = new Set([137, 143]);

/** What broke off is tried again from where it is by then; one try after the other, while they come further. The status of the last one. */
export async function again(
  { terminal, pause }: Pick<Desk, 'terminal' | 'pause'>,
  where: () => Promise<number>,
  run: (at: number) => Promise<number>,
): Promise<number> {
  let furthest = -1;
  for (let tries = 1; ; tries++) {
    try {
      const at = await where();
      if (at > furthest) tries = 1;
      furthest = at;
      return alive(await run(at));
    } catch (thrown) {
      if (!(thrown instanceof Refusal) || thrown.status !== EXIT.noAnswer || tries === TRIES) throw thrown;
      terminal.err(`${thrown.message}: it goes on\n`);
      await pause(PAUSE_MS * tries);
    }
  }
}

/** A status of a container that died says that it broke off. */
export function alive(status: number): number {
  if (!DIED.has(status)) return status;
  throw new Refusal(`the container of the server ended meanwhile (status ${status})`, EXIT.noAnswer);
}

/** The server said why it did not do it. */
export function ended(status: number): void {
  if (status !== 0) throw new Ended(status);
}

/** Progress, and a terminal that takes its line away before it says something. */
export function shown(terminal: Terminal, what: string): { readonly progress: Progress; readonly aside: Terminal } {
  const progress = progressOn(terminal, what);
  const aside: Terminal = {
    ...terminal,
    isWatched: terminal.isWatched,
    err: (text) => {
      progress.end();
      terminal.err(text);
    },
  };
  return { progress, aside };
}

/** What of a download the server says on its standard error, a line each. */
export interface Heard {
  readonly take: (bytes: Buffer) => void;
  /** Behind the last byte. */
  readonly end: () => void;
  /** Of all of it, once it is told. */
  digest?: Digest;
  /** It does not go on from the offset that it was asked for. */
  isOffsetWrong: boolean;
  /** Of what can be had, where it was asked for from behind its end. */
  sizeBytes?: number;
}

const DIGEST = /: (\d+) bytes, SHA-256 ([0-9a-f]{64})/;
const OFFSET_WRONG = /(?: has (\d+) bytes, and|, of which) \d+ (?:bytes )?are said to be had/;

/** `say`: what is not of the transfer itself. */
export function hear(say: (line: string) => void): Heard {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const judge = (line: string): void => {
    const [, bytes, sha256] = DIGEST.exec(line) ?? [];
    const wrong = OFFSET_WRONG.exec(line);
    if (sha256 !== undefined) heard.digest = { sizeBytes: Number(bytes), sha256 };
    else if (wrong) heard.isOffsetWrong = true;
    else say(`${line}\n`);
    if (wrong?.[1] !== undefined) heard.sizeBytes = Number(wrong[1]);
  };
  const heard: Heard = {
    isOffsetWrong: false,
    take(bytes) {
      const lines = `${rest}${decoder.write(bytes)}`.split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(judge);
    },
    end() {
      const last = rest + decoder.end();
      rest = '';
      if (last !== '') judge(last);
    },
  };
  return heard;
}
