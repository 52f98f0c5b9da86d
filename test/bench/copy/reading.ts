/** A device that reads from a stream server, and how long 99 of 100 reads take at most. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ReaderResult, ReaderTask } from '../stream/reader.ts';
import { loopback, start } from '../stream/rig.ts';

const [SERVE, READER] = ['../../fakes/serve.ts', '../stream/reader.ts'].map((path) => join(import.meta.dirname, path));
const [READ_BYTES, PER_SECOND] = [32 << 10, 500];

export interface Reading {
  /** For about so long. */
  p99Ms(seconds: number): Promise<number>;
  stop(): Promise<void>;
}

/** `file`: what it reads, and compares each read with. */
export async function startReading(file: string, port: number): Promise<Reading> {
  const words = ['--file', file, '--port', String(port), '--mode', 'authenticated', '--native', 'native', '--quiet'];
  const server = await start(loopback, 'reading', [process.execPath, SERVE ?? '', ...words], 'line');
  const { token }: { token: string } = JSON.parse(server.line);
  const task: Omit<ReaderTask, 'totalBytes'> = {
    ...{ protocol: 'stream', host: loopback.host, port, file, token },
    ...{ length: READ_BYTES, depth: 1, perSecond: PER_SECOND },
  };
  return {
    async p99Ms(seconds) {
      const all: ReaderTask = { ...task, totalBytes: seconds * PER_SECOND * READ_BYTES };
      const { stdout } = await promisify(execFile)(process.execPath, [READER ?? '', JSON.stringify(all)]);
      const { p99Ms = 0 }: ReaderResult = JSON.parse(stdout);
      return p99Ms;
    },
    stop: () => server.stop(),
  };
}
