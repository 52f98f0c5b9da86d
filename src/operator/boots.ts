/** Asks all servers of a farm at once what they heard of machines that boot, and makes one answer of theirs. Who does not answer in time is named. */
import type { AskedServer, ControlClient, ControlFault } from '../control/client.ts';
import { type BootRecord, mergedRecord, mergedUnknown, type UnknownMachine } from '../farm/bootrecord.ts';
import type { SilentServer } from '../farm/verdict.ts';
import { byNumbers } from '../kit/numbered.ts';
import { inTime } from '../kit/patience.ts';
import type { Result } from '../kit/result.ts';

/** A person waits for it; a server answers within some milliseconds. */
const DEADLINE_MS = 2_000;

export interface AllBoots {
  /** Absent: no server that answered has heard it. */
  readonly record?: BootRecord;
  readonly answered: readonly string[];
  readonly silent: readonly SilentServer[];
}

export interface AllUnknown {
  /** Heard last first. */
  readonly machines: readonly UnknownMachine[];
  /** Heard, too, and not told by their server, which tells of 512. */
  readonly more: number;
  readonly answered: readonly string[];
  readonly silent: readonly SilentServer[];
}

type Asking = Pick<ControlClient, 'boots' | 'unknown'>;

/** Of one machine, by all its MACs. */
export async function askBoots(
  control: Pick<Asking, 'boots'>,
  servers: readonly AskedServer[],
  macs: readonly string[],
  deadlineMs = DEADLINE_MS,
): Promise<AllBoots> {
  const { said, ...who } = await askAll(servers, (server) => control.boots(server, macs), deadlineMs);
  const record = mergedRecord(said.flatMap(({ records }) => records));
  return { ...who, ...(record ? { record } : {}) };
}

/** Those that no server knows. */
export async function askUnknown(
  control: Pick<Asking, 'unknown'>,
  servers: readonly AskedServer[],
  deadlineMs = DEADLINE_MS,
): Promise<AllUnknown> {
  const { said, ...who } = await askAll(servers, (server) => control.unknown(server), deadlineMs);
  const machines = mergedUnknown(said.map((answer) => answer.machines));
  return { ...who, machines, more: Math.max(0, ...said.map(({ more }) => more)) };
}

async function askAll<T>(
  servers: readonly AskedServer[],
  ask: (server: AskedServer) => Promise<Result<T, ControlFault>>,
  deadlineMs: number,
): Promise<{ said: readonly T[]; answered: readonly string[]; silent: readonly SilentServer[] }> {
  const answers = await Promise.all(
    servers
      .toSorted((a, b) => byNumbers(a.name, b.name))
      .map(async (server) => ({ server: server.name, answer: await inTime(ask(server), deadlineMs) })),
  );
  const silent = answers.flatMap(({ server, answer }): SilentServer[] => {
    if (!answer) return [{ server, message: `server ${server} did not answer within ${deadlineMs / 1_000} s` }];
    return answer.ok ? [] : [{ server, message: answer.error.message }];
  });
  return {
    said: answers.flatMap(({ answer }) => (answer?.ok ? [answer.value] : [])),
    answered: answers.flatMap(({ server, answer }) => (answer?.ok ? [server] : [])),
    silent,
  };
}
