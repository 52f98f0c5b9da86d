/** Packets that wait for their turn, first in, first out: copies, with where they came from, in a ring of a fixed size. */
export class Backlog {
  readonly #most: number;
  readonly #packetBytes: number;
  readonly #nameBytes: number;
  readonly #slotBytes: number;
  /** Made when the first packet comes. */
  #slab = Buffer.alloc(0);
  readonly #lengths: Uint16Array;
  readonly #cameMs: Float64Array;
  #first = 0;
  #length = 0;

  constructor(most: number, packetBytes: number, nameBytes: number) {
    this.#most = most;
    this.#packetBytes = packetBytes;
    this.#nameBytes = nameBytes;
    this.#slotBytes = packetBytes + nameBytes;
    this.#lengths = new Uint16Array(most);
    this.#cameMs = new Float64Array(most);
  }

  get length(): number {
    return this.#length;
  }

  /** False when it is full. */
  push(packet: Uint8Array, name: Uint8Array, nowMs: number): boolean {
    if (this.#length === this.#most) return false;
    if (this.#slab.length === 0) this.#slab = Buffer.alloc(this.#most * this.#slotBytes);
    const slot = (this.#first + this.#length++) % this.#most;
    const at = slot * this.#slotBytes;
    this.#slab.set(packet, at);
    this.#slab.set(name, at + this.#packetBytes);
    this.#lengths[slot] = packet.length;
    this.#cameMs[slot] = nowMs;
    return true;
  }

  /** The oldest one, and takes it out: views, good until the next `push`. */
  shift(): { readonly packet: Buffer; readonly name: Buffer; readonly cameMs: number } | undefined {
    if (this.#length === 0) return undefined;
    const slot = this.#first;
    this.#first = (slot + 1) % this.#most;
    this.#length--;
    const at = slot * this.#slotBytes;
    return {
      cameMs: this.#cameMs[slot] ?? 0,
      packet: this.#slab.subarray(at, at + (this.#lengths[slot] ?? 0)),
      name: this.#slab.subarray(at + this.#packetBytes, at + this.#packetBytes + this.#nameBytes),
    };
  }
}
