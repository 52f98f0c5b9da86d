/** How a UDP edge hears: what nobody may have sent is counted and dropped before anything else is done with it. */
import type { Socket } from 'node:dgram';
import { type BadSource, badSource, type Own, type Source } from './source.ts';

export interface Hearing {
  readonly own: Own;
  /** 0.0.0.0 is heard too. */
  readonly unspecified?: boolean;
  /** For a counter. */
  readonly onBadSource?: ((why: BadSource) => void) | undefined;
}

export function hear(socket: Socket, hearing: Hearing, take: (bytes: Buffer, source: Source) => void): void {
  const { own, unspecified = false, onBadSource } = hearing;
  socket.on('message', (bytes: Buffer, source) => {
    const why = badSource(source, own, unspecified);
    if (why) onBadSource?.(why);
    else take(bytes, source);
  });
}
