/** Netascii (RFC 1350 section 1, RFC 764): a line ends CR LF, a CR of the text is CR NUL. */

const LF = 10;
const CR = 13;

export function netascii(text: Uint8Array): Uint8Array {
  let ends = 0;
  for (const byte of text) if (byte === LF || byte === CR) ends++;
  const out = new Uint8Array(text.length + ends);
  let at = 0;
  for (const byte of text) {
    if (byte === LF) out[at++] = CR;
    out[at++] = byte;
    if (byte === CR) at++;
  }
  return out;
}
