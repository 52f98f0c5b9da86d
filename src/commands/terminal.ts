/** Where the words of a command go, and come from. */
import { readFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

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
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  fail: (status = 1) => {
    process.exitCode = status;
  },
  stepBack: () => setPriority(constants.priority.PRIORITY_LOW),
};

/** Aborted when a person, or who started the command, ends it. */
export function interrupted(): AbortSignal {
  const left = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => left.abort());
  return left.signal;
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
