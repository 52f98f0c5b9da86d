/** Servers that are read from in turns: what each takes of a processor for a GB. The client compares every byte with a file. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ReaderResult, ReaderTask } from './reader.ts';
import { type Place, type Running, softirqThreadSeconds } from './rig.ts';

export interface Point {
  readonly suffix: string;
  readonly length: number;
  readonly depth: number;
  /** Of each reader. */
  readonly totalBytes: number;
  /** Clients at a time. One waits for the server or the server for it; with two the server is never idle. */
  readonly readers: number;
}

export const BULK: Point = { suffix: '', length: 32_768, depth: 16, totalBytes: 2 ** 30, readers: 1 };

export interface Contender {
  readonly running: Running;
  readonly ours: boolean;
  readonly task: Pick<ReaderTask, 'protocol' | 'port' | 'token' | 'maxSegmentBytes'>;
}

export interface Sample {
  readonly serverPerGB: number;
  readonly clientPerGB: number;
  readonly megabytesPerSecond: number;
  readonly repeats: number;
}

/** Round after round, each contender once a round, each round begun by another. `file`: what all of them show. */
export async function turns<C extends Contender>(
  place: Place,
  file: string,
  point: Point,
  contenders: readonly C[],
  rounds: number,
): Promise<Map<C, Sample[]>> {
  const samples = new Map(contenders.map((contender): [C, Sample[]] => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)])
      samples.get(contender)?.push(await one(place, file, point, contender));
  }
  return samples;
}

export async function one(place: Place, file: string, point: Point, { running, task }: Contender): Promise<Sample> {
  const { length, depth, totalBytes, readers } = point;
  const whole: ReaderTask = { ...task, host: place.host, file, length, depth, totalBytes };
  const reader = [process.execPath, join(import.meta.dirname, 'reader.ts'), JSON.stringify(whole)];
  const [program = '', ...args] = [...place.client, ...reader];
  const before = running.cpuSeconds() + softirqThreadSeconds();
  const ended = await Promise.all(Array.from({ length: readers }, () => promisify(execFile)(program, args)));
  const server = running.cpuSeconds() + softirqThreadSeconds() - before;
  const results = ended.map(({ stdout }): ReaderResult => JSON.parse(stdout));
  const sum = (of: (result: ReaderResult) => number): number => results.reduce((all, result) => all + of(result), 0);
  const gigabytes = sum(({ bytes }) => bytes) / 1e9;
  return {
    serverPerGB: server / gigabytes,
    clientPerGB: sum(({ cpuSeconds }) => cpuSeconds) / gigabytes,
    megabytesPerSecond: sum(({ bytes, seconds }) => bytes / 1e6 / seconds),
    repeats: sum(({ repeats }) => repeats),
  };
}
