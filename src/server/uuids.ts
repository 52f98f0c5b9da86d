/** UUIDs that two machines have: which this server has seen with whose MACs, and the word to the farm when they are not one device's. */
import type { Database } from '../database/connection.ts';
import { markSharedUuid } from '../database/devices.ts';
import type { Device } from '../farm/model.ts';
import { isSameUuid, SeenUuids, type Sighting } from '../farm/uuids.ts';
import type { Logger } from '../telemetry/log.ts';

export class Uuids {
  readonly #seen = new SeenUuids();
  readonly #database: Database;
  readonly #log: Logger;
  /** Devices of which the log has it; and those that are being marked. */
  readonly #logged = new Set<string>();
  readonly #marking = new Set<string>();

  constructor(database: Database, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  /** The MAC of another machine that was seen with this UUID. */
  saw(uuid: string, sighting: Sighting): string | undefined {
    return this.#seen.saw(uuid, sighting);
  }

  /**
   * The machine `mac` has the UUID of this device and is another one. Each server and the device say so once the database has it; until then, and
   * while it is away, this server alone knows, and tries again when it sees it again.
   */
  shared({ name, uuid: own, uuidSharedWith }: Device, uuid: string, mac: string): void {
    if (own === undefined || !isSameUuid(uuid, own) || uuidSharedWith !== undefined || this.#marking.has(name)) return;
    this.#marking.add(name);
    if (!this.#logged.has(name))
      this.#log.warn(
        { device: name, uuid, mac },
        `machine ${mac} has the UUID of device ${name} and is another one: no machine is found by this UUID any more. If it is the same one, remove the device and add it with both MACs`,
      );
    this.#logged.add(name);
    void markSharedUuid(this.#database, { name, uuid: own, mac }).then((marked) => {
      this.#marking.delete(name);
      if (!marked.ok) this.#log.debug({ device: name, fault: marked.error }, 'not noted in the database');
    });
  }
}
