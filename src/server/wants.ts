/** Tells the container `work` which files this server lacks, by a file in the state directory, and reads how far each is (`work/mirror.ts`). */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SHARED_FOLDERS } from '../control/config.ts';
import { errorMessage } from '../kit/errors.ts';
import { replaceFile } from '../kit/file.ts';
import { OWNER_FILE, type Owner } from '../store/mark.ts';
import { PROPERTIES_FILE, type StoreProperties } from '../store/propertycopies.ts';
import { NO_PULLS, PULLS_FILE, type Pulls, parsePulls } from '../store/pulls.ts';
import { parseWants, type StoreWants, WANTS_FILE } from '../store/wants.ts';
import type { Logger } from '../telemetry/log.ts';

export class Wants {
  readonly #file: string;
  readonly #pullsFile: string;
  readonly #log: Logger;
  readonly #propertiesFile: string;
  readonly #ownerFile: string;
  readonly #owner: Owner | undefined;
  /** By store; of one that is away, as it was seen last. */
  #wants: ReadonlyMap<string, StoreWants> = new Map();
  #written = '';
  #properties = '';
  #pulls = NO_PULLS;
  #isTold = false;

  constructor(stateDirectory: string, log: Logger, owner?: Owner) {
    this.#file = join(stateDirectory, WANTS_FILE);
    this.#pullsFile = join(stateDirectory, SHARED_FOLDERS.jobs, PULLS_FILE);
    this.#log = log;
    this.#propertiesFile = join(stateDirectory, PROPERTIES_FILE);
    this.#ownerFile = join(stateDirectory, OWNER_FILE);
    this.#owner = owner;
  }

  /** What an earlier process wanted: of stores that this one has not seen yet it holds. */
  async load(): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true });
    if (this.#owner) await replaceFile(this.#ownerFile, JSON.stringify(this.#owner), 0o600);
    const before = parseWants(await readFile(this.#file, 'utf8').catch(() => ''));
    this.#wants = new Map(before?.map((wants) => [wants.store, wants]));
  }

  /** As it was told last. */
  get pulls(): Pulls {
    return this.#pulls;
  }

  of(store: string): StoreWants | undefined {
    return this.#wants.get(store);
  }

  /** What it has of properties: those of other servers are compared with them by who takes them. */
  async setProperties(all: readonly StoreProperties[]): Promise<void> {
    const text = JSON.stringify(all);
    if (text === this.#properties) return;
    try {
      await replaceFile(this.#propertiesFile, text, 0o600);
      this.#properties = text;
    } catch {} // as what is wanted: told there
  }

  /** By store; undefined: nothing can be said of it now. A store that is not named is none of this server's. */
  async set(wants: ReadonlyMap<string, StoreWants | undefined>): Promise<void> {
    this.#wants = new Map(
      [...wants].flatMap(([store, now]) => {
        const known = now ?? this.#wants.get(store);
        return known ? [[store, known] as const] : [];
      }),
    );
    const text = JSON.stringify([...this.#wants.values()]);
    try {
      if (text !== this.#written) await replaceFile(this.#file, text, 0o600);
      this.#written = text;
      this.#pulls = parsePulls(await readFile(this.#pullsFile, 'utf8').catch(() => '')) ?? this.#pulls;
      this.#isTold = false;
    } catch (thrown) {
      if (!this.#isTold) this.#log.warn({ error: errorMessage(thrown) }, 'what this server lacks cannot be told');
      this.#isTold = true;
    }
  }
}
