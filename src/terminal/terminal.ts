/** Where the words of a command go, and come from. */
import { readFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { errorCode } from '../kit/errors.ts';
import { given } from '../kit/given.ts';
import { Ended } from './refusal.ts';

export interface Terminal {
  /** A person sees standard error as it comes. */
  readonly isWatched: boolean;
  /** Of the screen that shows what goes out; absent: it goes elsewhere. */
  readonly columns?: number | undefined;
  out(text: string): void;
  err(text: string): void;
  /** The command ends with this status; 1 if none is said. */
  fail(status?: number): void;
  /** Others on this machine go first from now on. */
  stepBack(): void;
}

export const terminalOfProcess: Terminal = {
  get isWatched() {
    return process.stderr.isTTY === true;
  },
  get columns() {
    return process.stdout.isTTY ? process.stdout.columns : undefined;
  },
  out: (text) => say(process.stdout, text),
  err: (text) => say(process.stderr, text),
  fail: (status = 1) => {
    process.exitCode = status;
  },
  stepBack: () => setPriority(constants.priority.PRIORITY_LOW),
};

/** Nobody reads any more what is said, as behind `| head`. */
const deaf = new AbortController();

/** Who goes ends no work that was begun: what can be said to nobody is not. */
function say(stream: NodeJS.WriteStream, text: string): void {
  listenTo(stream);
  stream.write(text);
}

/** Bytes to standard output; the next when these were taken. Where nobody takes them any more it ends: by `unheard` all is said of it. */
export async function giveOut(bytes: Uint8Array): Promise<void> {
  listenTo(process.stdout);
  await given(process.stdout, bytes).catch(() => {
    throw new Ended();
  });
}

function listenTo(stream: NodeJS.WriteStream): void {
  if (!heardBy.has(stream)) stream.on('error', (error) => unheard(stream, error));
  heardBy.add(stream);
}

const heardBy = new Set<NodeJS.WriteStream>();

function unheard(stream: NodeJS.WriteStream, error: Error): void {
  deaf.abort();
  if (errorCode(error) === 'EPIPE') return;
  process.exitCode ||= 1;
  if (stream !== process.stderr) say(process.stderr, `error: it cannot be written: ${error.message}\n`);
}

/** Aborted when a person, or who started the command, ends it, or nobody reads it any more. */
export function interrupted(): AbortSignal {
  const left = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => left.abort());
  return AbortSignal.any([left.signal, deaf.signal]);
}

export interface Input {
  /** A person types. */
  readonly isTyped: boolean;
  /** All of standard input. */
  readAll(): Promise<string>;
  /** A line that is not shown. */
  ask(question: string): Promise<string>;
  file(path: string): Promise<string>;
}

export const inputOfProcess: Input = {
  get isTyped() {
    return process.stdin.isTTY === true;
  },
  readAll: () => text(process.stdin),
  async ask(question) {
    process.stderr.write(question);
    const output = new Writable({ write: (_chunk, _encoding, done) => done() });
    const lines = createInterface({ input: process.stdin, output, terminal: true });
    try {
      return await lines.question('');
    } finally {
      lines.close();
      process.stderr.write('\n');
    }
  },
  file: (path) => readFile(path, 'utf8'),
};
