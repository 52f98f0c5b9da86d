/** What the words of the desk share: where they read and write, and how they come to a farm. */
import type { Command } from 'commander';
import { attempt } from '../terminal/refusal.ts';
import type { Input, Terminal } from '../terminal/terminal.ts';
import type { Stale } from './answers.ts';
import type { Api } from './api.ts';
import type { Streams } from './exec.ts';
import { type DeskFarm, type FarmOptions, findFarm, judgeFarm } from './farm.ts';
import { type Place, type PlaceOptions, placeOf } from './place.ts';
import type { ServerAt } from './pod.ts';
import type { Way } from './way.ts';

export interface Desk {
  readonly terminal: Terminal;
  /** `bytes`: standard input as it comes. */
  readonly input: Pick<Input, 'readAll' | 'file'> & { bytes(): AsyncIterable<Uint8Array> };
  readonly wayTo: (place: Place) => Promise<Way>;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Aborted when who looks has seen enough. */
  readonly left: () => AbortSignal;
  readonly watchMs: number;
  /** Runs a command in the container of a server that may write to its stores; its status. */
  readonly runIn: (place: Place, at: ServerAt, command: readonly string[], streams: Streams) => Promise<number>;
  /** Bytes to standard output; the next when these were taken. */
  readonly give: (bytes: Uint8Array) => Promise<void>;
  readonly pause: (ms: number) => Promise<void>;
  /** Opens an address in the browser. */
  readonly browse: (address: string) => void;
}

/** It has what was said of where the farm is: a word may have an option of the same name. */
export const programOf = (command: Command): Command => (command.parent ? programOf(command.parent) : command);

/** A refusal is what the command says at its end, and its status. */
export function withApi(desk: Desk, command: Command, work: (api: Api) => Promise<void>): Promise<void> {
  return attempt(desk.terminal, async () => {
    // What asks is loaded where somebody does: `--help` is there at once.
    const { Api } = await import('./api.ts');
    const api = new Api(await desk.wayTo(placeOf(programOf(command).opts<PlaceOptions>())));
    try {
      await work(api);
    } finally {
      api.close();
    }
  });
}

export function withFarm(desk: Desk, command: Command, work: (farm: DeskFarm) => Promise<void>): Promise<void> {
  const options = programOf(command).opts<FarmOptions>();
  return attempt(desk.terminal, async () => {
    judgeFarm(options);
    await withApi(desk, command, async (api) => work(await findFarm(api, options)));
  });
}

/** `judge`: what was typed, before anybody is asked; it may refuse. */
export const withJudged = <Typed>(
  desk: Desk,
  command: Command,
  judge: () => Typed | Promise<Typed>,
  work: (farm: DeskFarm, typed: Typed) => Promise<void>,
): Promise<void> =>
  attempt(desk.terminal, async () => {
    const typed = await judge();
    await withFarm(desk, command, (farm) => work(farm, typed));
  });

/** What is told of an answer that the database did not give. */
export const staleNote = (stale: Stale | undefined): string =>
  stale ? `as the farm database was at ${stale.since}: ${stale.reason}\n` : '';
