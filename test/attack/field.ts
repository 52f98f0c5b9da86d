/** What every attack has: where it stands, whom it attacks, packets from any address, and a pace. It runs in a namespace of its own. */

import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { openRawUdp, type RawUdp } from '../contract/raw-udp.ts';

export type Ports = Readonly<Record<'stream' | 'http' | 'control' | 'telemetry' | 'dhcp' | 'pxe' | 'tftp', number>>;

export interface FieldOptions {
  readonly attacks: readonly string[];
  readonly seconds: number;
  readonly servers: readonly string[];
  readonly ports: Ports;
  /** Of the attacker's interface. */
  readonly address: string;
  /** More addresses of it, all of which answer. */
  readonly addresses: readonly string[];
  /** Devices of the farm that are the attacker's own: he may do all that a device may. */
  readonly macs: readonly string[];
}

/** As fast as it can: batches with a look at what came between them. */
export const LINE_RATE = Number.POSITIVE_INFINITY;
const BATCH = 128;
const TURN_MS = 5;
/** At least, of an attacker that has a processor: what it missed beyond that is not made up for. */
const TURNS_PER_SECOND = 20;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export class Field {
  readonly options: FieldOptions;
  /** Packets or questions so far. */
  sent = 0;
  readonly #raw: RawUdp = openRawUdp();
  readonly #endMs: number;
  /** The device of this attack. */
  readonly mac: string;

  constructor(options: FieldOptions, number: number) {
    this.options = options;
    this.mac = pick(options.macs, number);
    this.#endMs = performance.now() + options.seconds * 1_000;
  }

  get over(): boolean {
    return performance.now() >= this.#endMs;
  }

  /** A server, one after the other. */
  server(number = this.sent): string {
    return pick(this.options.servers, number);
  }

  /** An address of the attacker's own. */
  source(number = this.sent): string {
    return pick(this.options.addresses, number);
  }

  /** From whoever; what the kernel does not take at this moment is not counted. */
  raw(from: Endpoint, to: Endpoint, bytes: Uint8Array): void {
    try {
      this.#raw.send(from, to, bytes);
      this.sent += 1;
    } catch {
      // no buffer left, or the neighbour is not there
    }
  }

  /** `send` so many times a second until the phase is over; one that throws ends the attack, and is told. */
  async pace(perSecond: number, send: () => unknown): Promise<void> {
    if (perSecond === LINE_RATE) {
      while (!this.over) {
        for (let n = 0; n < BATCH; n++) send();
        await turn();
      }
      return;
    }
    let due = 0;
    for (let last = performance.now(); !this.over; ) {
      await delay(TURN_MS);
      const now = performance.now();
      due = Math.min(due + ((now - last) * perSecond) / 1_000, perSecond / TURNS_PER_SECOND); // the attacks beside it have a turn too
      last = now;
      for (; due >= 1; due--) send();
    }
  }
}

export const pick = <T>(all: readonly T[], number: number): T => all[number % all.length] as T;

/** Where Linux takes ports from that nobody chose: transfers of TFTP have theirs there, and our own sockets. */
export const EPHEMERAL = { first: 32_768, beyond: 61_000 };

/** One that a client would have, and that none of our own has: what comes back to it must not be taken for an answer. */
export const anyPort = (): number => randomInt(1_024, EPHEMERAL.first);

export const randomMac = (): string =>
  `52:54:99:${[0, 0, 0].map(() => randomInt(256).toString(16).padStart(2, '0')).join(':')}`;

export const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

/**
 * Which processor time all threads of a process get: `idle` is what nobody else wants at that moment, as one burns in the field who attacks from a
 * machine of his own. Niceness is not enough: it is of one thread, so V8's went on beside the servers', and a thread that wakes waits for a nice one's slice.
 */
export function schedule(policy: 'idle' | 'other', pid: number | undefined): void {
  if (pid !== undefined) execFileSync('chrt', ['--all-tasks', `--${policy}`, '--pid', '0', String(pid)]);
}
