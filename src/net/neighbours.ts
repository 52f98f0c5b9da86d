/** Which network card has an address of our own networks: the kernel's ARP table, where it put whoever has just asked for our address. Linux, IPv4. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const ARP_TABLE = '/proc/net/arp';
/** ATF_COM: the entry is complete. */
const COMPLETE = 2;

/** By address the MAC, of the text of the ARP table. Absent: behind a router, ourselves, or not heard. */
export function macsIn(table: string): ReadonlyMap<string, string> {
  const macs = new Map<string, string>();
  for (const line of table.split('\n').slice(1)) {
    const [ip = '', , flags, mac] = line.split(/ +/);
    if (mac !== undefined && (Number(flags) & COMPLETE) !== 0) macs.set(ip, mac.toLowerCase());
  }
  return macs;
}

/** A reading costs 0.3 ms of a processor: in a flood of questions 7 % of one, and who waits for the next one waits so long. */
const PAUSE_MS = 4;

/** Reads the table for each question that comes after the last reading began: one reading runs and one waits, whatever is asked. */
export class Neighbours {
  readonly #read: () => Promise<string>;
  #running: Promise<ReadonlyMap<string, string>> | undefined;
  #next: Promise<ReadonlyMap<string, string>> | undefined;

  constructor(read: () => Promise<string> = () => readFile(ARP_TABLE, 'utf8').catch(() => '')) {
    this.#read = read;
  }

  async macOf(address: string): Promise<string | undefined> {
    return (await this.#fresh()).get(address);
  }

  #fresh(): Promise<ReadonlyMap<string, string>> {
    if (this.#next) return this.#next;
    if (!this.#running) {
      this.#running = this.#read()
        .then(macsIn)
        .finally(() => {
          this.#running = undefined;
        });
      return this.#running;
    }
    this.#next = this.#running.then(async () => {
      await delay(PAUSE_MS);
      this.#next = undefined;
      return this.#fresh();
    });
    return this.#next;
  }
}
