/** All chance of a simulation: sfc32 by a seed. Two of the same seed and name say the same; those of two names have nothing to do with each other. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, name: string) {
    let hash = 0x811c9dc5;
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
    this.#a = hash | 0;
    this.#b = seed | 0;
    this.#c = Math.floor(seed / 0x1_0000_0000) | 0;
    for (let i = 0; i < 12; i++) this.word();
  }

  /** 32 bits. */
  word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 to below 1. */
  share(): number {
    return this.word() / 0x1_0000_0000;
  }

  chance(share: number): boolean {
    return this.share() < share;
  }

  /** A whole number, from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.share() * (most - least + 1));
  }

  /** The same where the small are as likely as the large: half of them are below the geometric mean. */
  scale(least: number, most: number): number {
    return Math.round(least * (most / least) ** this.share());
  }

  of<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.share() * choices.length)];
    if (choice === undefined) throw new Error('there is nothing to choose from');
    return choice;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count);
    for (let at = 0; at < count; at++) bytes[at] = this.word();
    return bytes;
  }
}
