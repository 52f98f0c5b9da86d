/** Where the words of a command go. */

/** A failed command ends with 1. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  fail(): void;
}

export const terminalOfProcess: Terminal = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  fail: () => {
    process.exitCode = 1;
  },
};
