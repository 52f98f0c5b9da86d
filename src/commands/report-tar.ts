/** Files of a report as one tar (POSIX.1-1988 ustar): what anybody can open. */

export interface ReportFile {
  /** At most 100 bytes. */
  readonly path: string;
  readonly text: string;
}

const BLOCK = 512;

export function tarOf(files: readonly ReportFile[], nowSeconds: number): Buffer {
  const parts = files.flatMap(({ path, text }) => {
    const bytes = Buffer.from(text);
    return [header(path, bytes.length, nowSeconds), bytes, Buffer.alloc(-bytes.length & (BLOCK - 1))];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** Name 100 · mode 8 · uid 8 · gid 8 · size 12 · mtime 12 · checksum 8 · type 1 · link 100 · `ustar` 6 · version 2. */
function header(path: string, sizeBytes: number, seconds: number): Buffer {
  const head = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  head.write(path, 0, 100);
  head.write(octal(0o600, 8) + octal(0, 8) + octal(0, 8) + octal(sizeBytes, 12) + octal(seconds, 12), 100);
  head.write(`${' '.repeat(8)}0`, 148);
  head.write('ustar\x0000', 257);
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return head;
}
