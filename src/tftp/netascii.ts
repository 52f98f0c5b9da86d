/** Netascii (RFC 1350 section 1, RFC 764): a line ends CR LF, a CR of the text is CR NUL. */

const LF = 10;
const CR = 13;

export function netascii(text: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (const byte of text) {
    if (byte === LF) out.push(CR, LF);
    else if (byte === CR) out.push(CR, 0);
    else out.push(byte);
  }
  return Uint8Array.from(out);
}
