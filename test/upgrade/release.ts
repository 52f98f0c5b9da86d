/** The release after this one: a copy of the tree with a field more, so that both can run at once. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

const ROOT = join(import.meta.dirname, '../..');

/** Text of a file, and what stands in its place in the next release. */
export type Edit = readonly [file: string, there: string, then: string];

export interface Release {
  readonly folder: string;
  remove(): void;
}

export const thisRelease: Release = { folder: ROOT, remove() {} };

export function nextRelease(edits: readonly Edit[]): Release {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-release-'));
  for (const part of ['src', 'test/builders', 'test/upgrade', 'package.json'])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [file, there, then] of edits) {
    const path = join(folder, file);
    mkdirSync(join(path, '..'), { recursive: true });
    const text = there === '' ? '' : readFileSync(path, 'utf8');
    if (text.split(there).length !== 2 && there !== '') throw new Error(`${file} has not once: ${there}`);
    writeFileSync(path, there === '' ? then : text.replace(there, () => then));
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A process of one release. */
export class Part {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterableIterator<string>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when it has said that it does what it is for. */
  static async start(release: Release, script: 'leader' | 'reader', options: object): Promise<Part> {
    const file = join(release.folder, 'test/upgrade', `${script}.ts`);
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', process.execPath, '--disable-warning=ExperimentalWarning', file, JSON.stringify(options)],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const part = new Part(child);
    const { done, value } = await part.#lines.next();
    if (done) throw new Error(`${script} of ${release.folder} ended`);
    if (value !== 'leads' && value !== 'reads') throw new Error(`${script}: ${value}`);
    return part;
  }

  /** What it said since. */
  async end(): Promise<readonly string[]> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    const said: string[] = [];
    for await (const line of this.#lines) said.push(line);
    await ended;
    return said;
  }
}
