/**
 * What becomes of a packet on its way: it is lost, comes twice, late, changed, or not at all. Each way between the client and a server for itself. In peace
 * packets come in the order that they left in.
 */
import { MESSAGES, PROTOCOL_VERSION } from '../../src/stream/wire.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';
import type { Fault, Scene, Way, WayFault } from './scene.ts';

const IP_UDP_BYTES = 28;
/** How late a late packet is, at most. */
const LATE_US = 50_000;
/** Packets of a way that whoever sends them again has kept. */
const CAUGHT = 16;

/** `forged`: not as its sender has made it. */
export type Deliver = (server: number, way: Way, bytes: Buffer, forged: boolean) => void;

/** The names of types, for whoever reads a trace. */
const NAMES = new Map(Object.entries(MESSAGES).map(([name, { type }]) => [type as number, name]));
export const nameOf = (bytes: Buffer): string => NAMES.get(bytes[0] ?? 0) ?? `type ${bytes[0]}`;

interface Line {
  faults: WayFault[];
  lastUs: number;
  readonly caught: Buffer[];
}

export class Network {
  readonly #lines: readonly Readonly<Record<Way, Line>>[];
  readonly #scene: Scene;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deliver: Deliver;
  #forging = 0;
  packets = 0;

  constructor(scene: Scene, clock: Clock, random: Random, deliver: Deliver) {
    this.#scene = scene;
    this.#clock = clock;
    this.#random = random;
    this.#deliver = deliver;
    const line = (): Line => ({ faults: [], lastUs: 0, caught: [] });
    this.#lines = [...Array(scene.servers)].map(() => ({ to: line(), from: line() }));
  }

  begin(fault: Fault): void {
    if (!('ways' in fault)) return;
    for (const line of this.#of(fault)) line.faults = [...line.faults, fault];
    this.#forging += fault.kind === 'forge' ? 1 : 0;
  }

  end(fault: Fault): void {
    if (!('ways' in fault)) return;
    for (const line of this.#of(fault)) line.faults = line.faults.filter((one) => one !== fault);
    this.#forging -= fault.kind === 'forge' ? 1 : 0;
  }

  #of({ server, ways }: WayFault): Line[] {
    return ways.flatMap((way) => this.#lines[server]?.[way] ?? []);
  }

  /** `bytes` are the network's from now on. What it does with them, in a word. */
  send(server: number, way: Way, bytes: Buffer): string {
    const line = this.#lines[server]?.[way];
    if (!line) return 'goes nowhere';
    this.packets++;
    if (bytes.length + IP_UDP_BYTES > this.#scene.mtu) return 'is too large';
    let [delayUs, changed, twice, late] = [0, false, false, false];
    for (const fault of line.faults) {
      switch (fault.kind) {
        case 'cut':
          return 'is cut off';
        case 'narrow':
          if (bytes.length + IP_UDP_BYTES > fault.bytes) return 'is too large';
          break;
        case 'delay':
          delayUs += fault.delayUs;
          break;
        case 'loss':
          if (this.#random.chance(fault.share)) return 'is lost';
          break;
        case 'twice':
          twice ||= this.#random.chance(fault.share);
          break;
        case 'late':
          late ||= this.#random.chance(fault.share);
          break;
        case 'corrupt':
          changed ||= this.#random.chance(fault.share);
          break;
        case 'forge':
          if (this.#random.chance(fault.share)) this.#forge(server, way, line);
      }
    }
    if (changed && !this.#mayChange(bytes)) return 'is lost: its checksum is wrong';
    if (this.#forging > 0) this.#catch(line, bytes);
    this.#carry(server, way, line, changed ? this.#mutated(bytes) : bytes, changed, delayUs, late);
    if (twice) this.#carry(server, way, line, bytes, false, delayUs, true);
    return `leaves${changed ? ' changed' : ''}${twice ? ' twice' : ''}${late ? ' late' : ''}`;
  }

  #carry(server: number, way: Way, line: Line, bytes: Buffer, forged: boolean, delayUs: number, late: boolean): void {
    const { tripsUs, jitterUs } = this.#scene;
    let atUs = this.#clock.nowUs + (tripsUs[server] ?? 0) / 2 + this.#random.share() * jitterUs + delayUs;
    if (late) atUs += this.#random.share() * LATE_US;
    else if (delayUs === 0) line.lastUs = atUs = Math.max(atUs, line.lastUs);
    this.#clock.at(atUs, () => this.#deliver(server, way, bytes, forged));
  }

  /**
   * Nothing covers the data of mode Trusted but UDP's checksum: it lets nothing through here. Neither does it REFUSE and REDIRECT of a first login,
   * which is anonymous: who stands on that path may as well serve another kernel.
   */
  #mayChange(bytes: Buffer): boolean {
    const name = nameOf(bytes);
    return !(name === 'REFUSE' || name === 'REDIRECT' || (name === 'DATA' && this.#scene.mode === 'Trusted'));
  }

  #catch(line: Line, bytes: Buffer): void {
    if (!this.#mayChange(bytes)) return;
    if (line.caught.length < CAUGHT) line.caught.push(bytes);
    else line.caught[this.#random.between(0, CAUGHT - 1)] = bytes;
  }

  /** Somebody who sees the way and has no key: an earlier packet again, the same with bytes changed, or one of his own. */
  #forge(server: number, way: Way, line: Line): void {
    const sort = this.#random.between(0, 3);
    if (sort === 3 || line.caught.length === 0) {
      const bytes = this.#random.bytes(this.#random.between(16, 200));
      bytes[0] = this.#random.between(0, 28);
      bytes[1] = PROTOCOL_VERSION;
      if (this.#mayChange(bytes)) this.#carry(server, way, line, bytes, true, 0, true);
      return;
    }
    const bytes = this.#random.of(line.caught);
    const changed = sort > 0;
    this.#carry(server, way, line, changed ? this.#mutated(bytes) : bytes, changed, 0, true);
  }

  /** With one to three bytes that are others, or cut short. */
  #mutated(bytes: Buffer): Buffer {
    if (this.#random.chance(0.1)) return bytes.subarray(0, this.#random.between(0, bytes.length - 1));
    const mutated = Buffer.from(bytes);
    for (let count = this.#random.between(1, 3); count > 0; count--) {
      const at = this.#random.between(0, this.#random.chance(0.5) ? Math.min(63, bytes.length - 1) : bytes.length - 1);
      mutated[at] = (bytes[at] ?? 0) ^ this.#random.between(1, 255);
    }
    return this.#mayChange(mutated) ? mutated : bytes.subarray(0, 15);
  }
}
