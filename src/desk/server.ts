/** The words of `bootfarm vdisk` of a server, run in its container `work`. */
import { StringDecoder } from 'node:string_decoder';
import type { Command } from 'commander';
import { Refusal } from '../terminal/refusal.ts';
import type { ServerAnswer } from './answers.ts';
import { type Desk, programOf } from './desk.ts';
import type { DeskFarm } from './farm.ts';
import { type PlaceOptions, placeOf } from './place.ts';
import type { RunIn } from './transfer.ts';

export interface On {
  readonly on?: string;
}

export const atServer = (command: Command): Command =>
  command.option('--on <server>', 'the server whose files are meant (default: the only one)');

/** `wanted`: the server; absent: the only one. */
export async function inServer(
  { terminal, give, runIn }: Desk,
  command: Command,
  farm: DeskFarm,
  wanted: string | undefined,
  work: (run: RunIn) => Promise<void>,
): Promise<void> {
  const { name, pool } = await serverOf(farm, wanted);
  const place = placeOf(programOf(command).opts<PlaceOptions>());
  const at = { namespace: farm.namespace, pool, server: name };
  await work((words, { input, out = give, err = textTo(terminal.err) } = {}) =>
    runIn(place, at, ['bootfarm', 'vdisk', ...words], { input, out, err }),
  );
}

/** A letter may come in two pieces. */
export function textTo(say: (text: string) => void): (bytes: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  return (bytes) => say(decoder.write(bytes));
}

async function serverOf(farm: DeskFarm, wanted: string | undefined): Promise<ServerAnswer> {
  const { items } = await farm.list<ServerAnswer>(['servers']);
  const found = wanted === undefined && items.length === 1 ? items[0] : items.find(({ name }) => name === wanted);
  if (found) return found;
  const names = items.map(({ name }) => name).join(', ') || 'none';
  throw new Refusal(
    wanted === undefined
      ? `say on which server by --on: the farm has ${names}`
      : `the farm has no server ${wanted}: it has ${names}`,
  );
}
