/** UUIDs that two machines have: which this server has seen with whose MACs, and the word to the farm when they are not one device's. */
import type { Database } from '../database/connection.ts';
import { markSharedUuid } from '../database/devices.ts';
import type { FarmData } from '../farm/data.ts';
import type { Device } from '../farm/model.ts';
import { canonicalUuid, SeenUuids, type Sighting } from '../farm/uuids.ts';
import type { Logger } from '../telemetry/log.ts';

/** Whether what the database was told has come to this server is looked at so often, */
const LOOK_MS = 1_000;
/** and so many times at most. What was seen is kept then. */
const LOOKS = 3_600;

export interface UuidsOptions {
  readonly database: Database;
  readonly data: Pick<FarmData, 'deviceByName'>;
  readonly log: Logger;
  readonly lookMs?: number;
}

export class Uuids {
  readonly #seen = new SeenUuids();
  readonly #options: UuidsOptions;
  /** Devices of which the log has it, and those that are being marked. */
  readonly #logged = new Set<string>();
  readonly #marking = new Set<string>();

  constructor(options: UuidsOptions) {
    this.#options = options;
  }

  /**
   * Whether the machine `mac` has a UUID that two machines have, so that nobody is `device` by it, which was found for the machine. Each server and the
   * device say so once the farm's data has it; until then, and while the database is away, this server alone knows, and tells it when it sees it again. Who
   * removes the device ends it: what the data has said is not remembered here.
   */
  isShared(
    device: Device | undefined,
    { uuid, ...sighting }: Sighting & { readonly uuid: string },
    now = performance.now(),
  ): boolean {
    if (device?.uuidSharedWith !== undefined) {
      this.#seen.forget(uuid);
      return true;
    }
    const sharedWith = this.#seen.saw(uuid, sighting, now);
    if (sharedWith === undefined) return false;
    if (device?.uuid !== undefined && canonicalUuid(uuid) === canonicalUuid(device.uuid))
      this.#mark(device.name, device.uuid, sighting.own.length > 0 ? sharedWith : sighting.mac);
    return true;
  }

  /** `mac`: of the other machine. */
  #mark(name: string, uuid: string, mac: string): void {
    if (this.#marking.has(name)) return;
    const { database, log } = this.#options;
    if (!this.#logged.has(name))
      log.warn(
        { device: name, uuid, mac },
        `machine ${mac} has the UUID of device ${name} and is another one: no machine is found by this UUID any more. If it is the same one, remove the device and add it with both MACs`,
      );
    this.#logged.add(name);
    this.#marking.add(name);
    void markSharedUuid(database, { name, uuid, mac }).then(async (marked) => {
      if (!marked.ok) log.debug({ device: name, fault: marked.error }, 'not noted in the database');
      else if (await this.#isInData(name)) {
        this.#seen.forget(uuid);
        this.#logged.delete(name);
      }
      this.#marking.delete(name);
    });
  }

  /** Waits until the farm's data has the mark, or the device has gone. */
  async #isInData(name: string): Promise<boolean> {
    for (let look = 0; look < LOOKS; look++) {
      const found = await this.#options.data.deviceByName(name);
      if (found.ok && (!found.value || found.value.uuidSharedWith !== undefined)) return true;
      await new Promise((resolve) => setTimeout(resolve, this.#options.lookMs ?? LOOK_MS).unref());
    }
    return false;
  }
}
