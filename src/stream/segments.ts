/** An answer as DATA packets, the answer tag in each. The plain twin of native/answers.ts. */
import { HASH_BYTES, pieces } from '../image/tree/pieces.ts';
import { answerTag, piecesTag } from './keys.ts';
import { MAX_PIECES } from './limits.ts';
import { encode, type Mode } from './packet.ts';
import type { PendingRead, Session } from './shard.ts';
import { siphash } from './siphash.ts';

export function segments(mode: Mode, session: Session, read: PendingRead, bytes: Uint8Array): Buffer[] {
  session.sent++;
  const { request, offset, length } = read;
  const common = { type: 'DATA', session: session.id, number: session.sent, request, offset, length } as const;
  const header = encode({ ...common, answerTag: read.tag, position: 0, data: new Uint8Array(0) });
  const tag = mode === 'Trusted' ? read.tag : tagOf(session, header, offset, bytes);
  const packets: Buffer[] = [];
  for (let position = 0; position < length; position += session.segmentBytes) {
    const data = bytes.subarray(position, position + session.segmentBytes);
    packets.push(encode({ ...common, answerTag: tag, position, data }));
  }
  return packets;
}

function tagOf({ keys, sent, suite }: Session, header: Uint8Array, offset: number, data: Uint8Array): Buffer {
  const library = suite === 'HashThenMac' ? pieces() : undefined;
  if (!library?.ok) return answerTag(keys.serverData, sent, header, data);
  const hashes = Buffer.alloc(MAX_PIECES * HASH_BYTES);
  const count = library.value.hash(hashes, offset, data);
  return piecesTag(siphash, keys.serverData, header, hashes.subarray(0, count * HASH_BYTES));
}
