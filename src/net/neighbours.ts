/** Which network card has an address of our own networks: the kernel's ARP table, where it put whoever has just asked for our address. Linux, IPv4. */
import { readFile } from 'node:fs/promises';

const ARP_TABLE = '/proc/net/arp';
/** ATF_COM: the entry is complete. */
const COMPLETE = 2;

/** The MAC of `address` in the text of the ARP table; undefined: behind a router, ourselves, or not heard. */
export function macIn(table: string, address: string): string | undefined {
  for (const line of table.split('\n').slice(1)) {
    const [ip, , flags, mac] = line.split(/ +/);
    if (ip === address && (Number(flags) & COMPLETE) !== 0) return mac?.toLowerCase();
  }
  return undefined;
}

/** Reads the table for each question that comes after the last reading began: one reading runs and one waits, whatever is asked. */
export class Neighbours {
  readonly #read: () => Promise<string>;
  #running: Promise<string> | undefined;
  #next: Promise<string> | undefined;

  constructor(read: () => Promise<string> = () => readFile(ARP_TABLE, 'utf8').catch(() => '')) {
    this.#read = read;
  }

  async macOf(address: string): Promise<string | undefined> {
    return macIn(await this.#fresh(), address);
  }

  #fresh(): Promise<string> {
    if (this.#next) return this.#next;
    if (!this.#running) {
      this.#running = this.#read().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next = this.#running.then(() => {
      this.#next = undefined;
      return this.#fresh();
    });
    return this.#next;
  }
}
