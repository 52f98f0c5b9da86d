/** UUIDs that two machines have: which this server has seen with whose MACs, and the word to the farm when they are not one device's. */
import type { Database } from '../database/connection.ts';
import { markSharedUuid } from '../database/devices.ts';
import type { Device } from '../farm/model.ts';
import { canonicalUuid, SeenUuids } from '../farm/uuids.ts';
import type { Logger } from '../telemetry/log.ts';

/** Until then what the database was told has come to this server with the farm's data, whatever else waits there. */
const MARK_COMES_WITHIN_MS = 60_000;

export class Uuids {
  readonly #seen = new SeenUuids();
  readonly #database: Database;
  readonly #log: Logger;
  /** Devices of which the log has it, and the database not yet. */
  readonly #logged = new Set<string>();
  /** Devices that are being marked, and were: until when the farm's data may not say so. */
  readonly #marked = new Map<string, number>();

  constructor(database: Database, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  /**
   * Whether this device, which was found for the machine `mac`, has a UUID that two machines have, so that nobody is the device by it. `own`: the MACs of
   * the device that the farm knows the machine as by its MAC. Each server and the device say so once the database has it; until then, and while it is
   * away, this server alone knows, and tells it when it sees it again. Who removes the device ends it.
   */
  isShared(
    device: Device,
    { uuid, mac, own }: { uuid: string; mac: string; own: readonly string[] },
    now = performance.now(),
  ): boolean {
    if (device.uuidSharedWith !== undefined) {
      this.#marked.delete(device.name);
      return true;
    }
    if ((this.#marked.get(device.name) ?? 0) > now) return true;
    const sharedWith = this.#seen.saw(uuid, { mac, own }, now);
    if (sharedWith === undefined) return false;
    if (device.uuid !== undefined && canonicalUuid(uuid) === canonicalUuid(device.uuid))
      this.#mark(device.name, device.uuid, own.length > 0 ? sharedWith : mac);
    return true;
  }

  /** `mac`: of the other machine. */
  #mark(name: string, uuid: string, mac: string): void {
    if (!this.#logged.has(name))
      this.#log.warn(
        { device: name, uuid, mac },
        `machine ${mac} has the UUID of device ${name} and is another one: no machine is found by this UUID any more. If it is the same one, remove the device and add it with both MACs`,
      );
    this.#logged.add(name);
    this.#marked.set(name, Number.POSITIVE_INFINITY);
    void markSharedUuid(this.#database, { name, uuid, mac }).then((marked) => {
      if (marked.ok) {
        this.#marked.set(name, performance.now() + MARK_COMES_WITHIN_MS);
        this.#seen.forget(uuid); // what the database holds ends with the device
        this.#logged.delete(name);
      } else {
        this.#marked.delete(name);
        this.#log.debug({ device: name, fault: marked.error }, 'not noted in the database');
      }
    });
  }
}
