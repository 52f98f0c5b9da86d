/** Packets to throw at a decoder: random bytes, and real packets with bytes changed, cut, lengthened or spliced. The same for the same seed. */
import fc from 'fast-check';

const noise = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength, size: 'max' });

type Change = (bytes: Buffer) => Buffer;

/** Of a packet of any length: a place is taken modulo it. */
function changeBy(packets: readonly Uint8Array[]): fc.Arbitrary<Change> {
  const place = fc.nat();
  const byte = fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 255));
  const other = fc.tuple(fc.constantFrom(...packets), fc.nat({ max: 300 }));
  const set = fc.tuple(place, byte).map(([at, value]): Change => {
    return (bytes) => {
      if (bytes.length > 0) bytes[at % bytes.length] = value;
      return bytes;
    };
  });
  const cut = place.map((at): Change => {
    return (bytes) => until(bytes, at);
  });
  const lengthen = fc.tuple(place, noise(40)).map(([at, more]): Change => {
    return (bytes) => Buffer.concat([until(bytes, at), more, bytes.subarray(at % (bytes.length + 1))]);
  });
  const splice = fc.tuple(place, other).map(([at, [packet, from]]): Change => {
    return (bytes) => Buffer.concat([until(bytes, at), packet.subarray(from)]);
  });
  return fc.oneof({ weight: 3, arbitrary: set }, cut, lengthen, splice);
}

const until = (bytes: Buffer, at: number): Buffer => bytes.subarray(0, at % (bytes.length + 1));

/** A tenth is noise. */
export const mutated = (packets: readonly Uint8Array[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 1, arbitrary: noise(600).map((bytes): Buffer => Buffer.from(bytes)) },
    {
      weight: 9,
      arbitrary: fc
        .tuple(fc.constantFrom(...packets), fc.array(changeBy(packets), { minLength: 1, maxLength: 4 }))
        .map(([packet, changes]) => changes.reduce<Buffer>((bytes, change) => change(bytes), Buffer.from(packet))),
    },
  );

export const mutations = (packets: readonly Uint8Array[], seed: number, numRuns: number): Buffer[] =>
  fc.sample(mutated(packets), { seed, numRuns });
