/** Asks other servers which properties of versions (`.pvp`) they have, now and then, and says which of theirs this server lacks. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  lackingProperties,
  PROPERTIES_FILE,
  parseStoreProperties,
  type StoreProperties,
} from '../store/propertycopies.ts';
import { readIdentity } from '../store/pullfile.ts';
import type { StoreWants } from '../store/wants.ts';
import { peerAt } from '../transfer/peer.ts';
import type { ShownProperties } from '../transfer/wire.ts';

const EVERY_MS = 15_000;
/** When its own changed. */
const CHANGED_MS = 1_000;
const TIMEOUT_MS = 5_000;

type Source = StoreWants['sources'][number];

interface PropertyCopiesOptions {
  readonly stateDirectory: string;
  readonly tlsDirectory: string;
  /** Of a clock that never jumps. */
  readonly now: () => number;
}

export class PropertyCopies {
  readonly #options: PropertyCopiesOptions;
  /** As it was when the others were asked last. */
  #text = '';
  #here: readonly StoreProperties[] = [];
  #shown: ReadonlyMap<string, readonly ShownProperties[]> = new Map();
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(options: PropertyCopiesOptions) {
    this.#options = options;
  }

  /** With the properties that each store lacks behind its files, and those that are right among what is whole. */
  async with(wants: readonly StoreWants[]): Promise<readonly StoreWants[]> {
    const { stateDirectory, now } = this.#options;
    const text = await readFile(join(stateDirectory, PROPERTIES_FILE), 'utf8').catch(() => this.#text);
    const isDue = now() - this.#askedMs > (text === this.#text ? EVERY_MS : CHANGED_MS);
    if (text !== this.#text) this.#here = parseStoreProperties(text);
    if (this.#here.length > 0 && isDue) {
      this.#text = text;
      this.#askedMs = now();
      this.#asking ??= this.#ask(wants).finally(() => {
        this.#asking = undefined;
      });
    }
    return wants.map((store) => {
      const here = this.#here.find((one) => one.store === store.store && one.folder === store.folder);
      if (!here) return store;
      const beside = this.#here.filter((one) => one.folder !== store.folder);
      const lacking = lackingProperties(here, this.#shown, beside);
      const right = here.files.filter((file) => file.here && !lacking.some(({ name }) => name === file.name));
      return {
        ...store,
        files: [...store.files, ...lacking],
        whole: [...store.whole, ...right.map(({ name }) => name)],
      };
    });
  }

  async stop(): Promise<void> {
    await this.#asking;
  }

  async #ask(wants: readonly StoreWants[]): Promise<void> {
    const identity = await readIdentity(this.#options.tlsDirectory);
    if (!identity.ok) return;
    const sources = new Map(wants.flatMap((store) => store.sources.map((one): [string, Source] => [one.name, one])));
    const shown = await Promise.all(
      [...sources.values()].map(async (source) => {
        const peer = peerAt(source, identity.value, TIMEOUT_MS);
        const answer = await peer.properties();
        peer.close();
        return answer.ok ? [[source.name, answer.value] as const] : [];
      }),
    );
    this.#shown = new Map(shown.flat());
  }
}
