/** A file of devices goes to the API, all or nothing; with `--skip-bad` again without the lines that it named, until what is left fits. */
import { type DeviceFile, formatDevices, type GoodLine, parseDeviceFile } from '../../devices/csv.ts';
import { describeComplaint } from '../../devices/input.ts';
import { says } from '../../terminal/device-words.ts';
import { must, Refusal } from '../../terminal/refusal.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import type { Problem } from '../answers.ts';
import { ProblemRefusal } from '../exit.ts';
import type { DeskFarm } from '../farm.ts';

interface Imported {
  readonly added: number;
  readonly unchanged: number;
}
interface Options {
  readonly skipBad?: boolean;
  readonly dryRun?: boolean;
}

/** The API names so many bad lines at once; a file has 50,000. */
const ROUNDS = 64;

export interface ReadFile {
  readonly text: string;
  readonly parsed: DeviceFile;
}

/** A header that nobody can read, and a file that is too large, need no question. */
export const readFile = (text: string): ReadFile => ({ text, parsed: must(parseDeviceFile(text)) });

export async function importFile(
  farm: DeskFarm,
  terminal: Terminal,
  file: string,
  { text, parsed: read }: ReadFile,
  { skipBad = false, dryRun = false }: Options,
): Promise<Imported & { readonly skipped: number }> {
  const bad = new Set<number>();
  let sent: Sent = { text, lineOf: (line) => line };
  for (let round = 0; round < ROUNDS; round++) {
    const answer = await ask(farm, sent.text, dryRun);
    if (answer.ok) return { added: answer.done.added, unchanged: answer.done.unchanged, skipped: bad.size };
    const before = bad.size;
    for (const complaint of answer.problem.complaints ?? []) {
      const line = sent.lineOf(complaint.line ?? 1);
      bad.add(line);
      const column = complaint.field as Parameters<typeof describeComplaint>[0]['column'];
      terminal.err(`${file}: line ${line}, ${describeComplaint({ ...complaint, column })}\n`);
    }
    if (!skipBad) throw new Refusal(refusedText(read, bad.size, answer.problem));
    const good = read.good.filter(({ line }) => !bad.has(line));
    if (good.length === 0) return { added: 0, unchanged: 0, skipped: bad.size };
    if (bad.size === before) throw new Refusal(answer.problem.detail);
    sent = linesOf(good);
  }
  throw new Refusal(`nothing was imported: more than ${ROUNDS},000 lines are bad. Correct them`);
}

async function ask(farm: DeskFarm, body: string, dryRun: boolean) {
  try {
    const query = dryRun ? { dryRun } : {};
    const { value } = await farm.api.send<Imported>('POST', farm.path('devices.csv'), { body, query });
    return { ok: true, done: value } as const;
  } catch (thrown) {
    if (thrown instanceof ProblemRefusal && thrown.problem.code === 'BadLines')
      return { ok: false, problem: thrown.problem } as const;
    throw thrown;
  }
}

/** Where not all bad lines are named, the API has counted them. */
const MOST_NAMED = 1_000;
const refusedText = ({ good, badLines }: DeviceFile, bad: number, { complaints = [], detail }: Problem): string =>
  complaints.length < MOST_NAMED ? says.notImported(bad, good.length + badLines - bad) : detail;

interface Sent {
  readonly text: string;
  /** Of the file that was given, from a line of this text. */
  readonly lineOf: (line: number) => number;
}

/** These lines as a file of their own. A property of several lines takes as many. */
function linesOf(good: readonly GoodLine[]): Sent {
  const from = new Map<number, number>();
  let at = 2;
  for (const { line, device } of good) {
    from.set(at, line);
    at += Object.values(device.properties).reduce((lines, value) => lines + value.split('\n').length - 1, 1);
  }
  return { text: must(formatDevices(good.map(({ device }) => device))), lineOf: (line) => from.get(line) ?? line };
}
