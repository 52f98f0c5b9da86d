/** This server's row in the farm database: written at the start and again each few seconds, whatever the database held before. */

import type { Database } from '../database/connection.ts';
import { registerServer } from '../database/servers.ts';
import type { Server } from '../farm/model.ts';
import type { Fault } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';

/** Nothing hangs on it: liveness comes from the pings of peers. A row that did not change tells nobody. */
const REGISTER_EVERY_MS = 5_000;

export class Registration {
  readonly #database: Database;
  readonly #server: Server;
  readonly #onAdded: () => void;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #stop: () => void;
  #turning = false;
  /** Of the fault that was told last. */
  #said: Fault['code'] | undefined;

  /** `onAdded`: the database did not know this server, so it knows nothing of what else it was told. */
  constructor(database: Database, server: Server, onAdded: () => void, log: Logger) {
    this.#database = database;
    this.#server = server;
    this.#onAdded = onAdded;
    this.#log = log;
    this.#timer = setInterval(() => void this.#turn(), REGISTER_EVERY_MS);
    this.#stop = database.onState(({ reachable }) => {
      if (reachable) void this.#turn();
    });
    void this.#turn();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stop();
  }

  async #turn(): Promise<void> {
    if (this.#turning) return;
    this.#turning = true;
    const added = await registerServer(this.#database, this.#server);
    if (added.ok && added.value) {
      this.#log.info({ server: this.#server.name }, 'server registered');
      this.#onAdded();
    }
    this.#say(added.ok ? undefined : added.error);
    this.#turning = false;
  }

  #say(fault: Fault | undefined): void {
    if (fault && fault.code !== this.#said)
      this.#log.warn({ server: this.#server.name, fault }, 'server not registered');
    this.#said = fault?.code;
  }
}
