/** Packets to throw at a decoder: random bytes, and real packets with bytes flipped, cut, doubled or spliced. The same for the same seed. */

/** mulberry32: 32 bits of state, enough to scatter bytes. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export function* mutations(seeds: readonly Buffer[], seed: number, count: number): Generator<Buffer> {
  const random = randomFrom(seed);
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)));
  const pick = (): Buffer => seeds[random(seeds.length)] ?? Buffer.alloc(0);
  for (let made = 0; made < count; made += 1) {
    if (made % 10 === 0) {
      yield noise(random(600));
      continue;
    }
    let bytes = Buffer.from(pick());
    for (let change = random(4); change >= 0; change -= 1) {
      const at = random(bytes.length + 1);
      const kind = random(6);
      if (kind < 3 && at < bytes.length) bytes[at] = [random(256), 0, 255][kind] ?? 0;
      else if (kind === 3) bytes = bytes.subarray(0, at);
      else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at), noise(random(40)), bytes.subarray(at)]);
      else if (kind === 5) bytes = Buffer.concat([bytes.subarray(0, at), pick().subarray(random(300))]);
    }
    yield bytes;
  }
}
