/** This server's row in the farm database: written at the start, when it changes, and as a heartbeat. */

import type { Database } from '../../database/connection.ts';
import { heartbeat, registerServer } from '../../database/servers.ts';
import type { Server } from '../../farm/model.ts';
import type { Logger } from '../../telemetry/log.ts';

/** Nothing hangs on it: liveness comes from the pings of peers. */
const HEARTBEAT_MS = 5_000;

export class Registration {
  readonly #database: Database;
  readonly #server: Server;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #stop: () => void;
  #registered = false;
  #turning = false;

  constructor(database: Database, server: Server, log: Logger) {
    this.#database = database;
    this.#server = server;
    this.#log = log;
    this.#timer = setInterval(() => void this.#turn(), HEARTBEAT_MS);
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
    if (this.#registered) {
      const beat = await heartbeat(this.#database, this.#server.name);
      if (beat.ok && !beat.value) this.#registered = false;
    }
    if (!this.#registered) {
      const done = await registerServer(this.#database, this.#server);
      this.#registered = done.ok;
      if (done.ok) this.#log.info({ server: this.#server.name }, 'server registered');
    }
    this.#turning = false;
  }
}
