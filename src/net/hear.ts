/** How a UDP edge hears: what nobody may have sent is counted and dropped before anything else is done with it. */
import type { Socket } from 'node:dgram';
import { type BadSource, badSource, type Own, type Source } from './source.ts';
import { Turns } from './turns.ts';

export interface Hearing {
  readonly own: Own;
  /** 0.0.0.0 is heard too. */
  readonly unspecified?: boolean;
  /** For a counter. */
  readonly onBadSource?: ((why: BadSource) => void) | undefined;
}

export type Take = (bytes: Buffer, source: Source) => void;

export function hear(socket: Socket, hearing: Hearing, take: Take): void {
  const { own, unspecified = false, onBadSource } = hearing;
  socket.on('message', (bytes: Buffer, source) => {
    const why = badSource(source, own, unspecified);
    if (why) onBadSource?.(why);
    else take(bytes, source);
  });
}

export interface TurnTerms {
  /** Packets taken in one turn of the event loop. */
  readonly perTurn: number;
  /** Packets that wait; beyond them the oldest of the source with the most gives way. */
  readonly waiting: number;
}

/**
 * Of all that share the event loop, so much a turn: what comes beyond waits, and sources take turns. Node gives 32 packets of each socket in a turn, and what
 * is answered by TCP has to wait out half a dozen turns.
 */
export function inTurns(terms: TurnTerms, gaveWay: (source: Source) => void): (take: Take) => Take {
  const waiting = new Turns<{ readonly source: Source; readonly go: () => void }>(terms.waiting);
  let left = terms.perTurn;
  const turn = (): void => {
    left = terms.perTurn;
    try {
      for (let next = waiting.shift(); next; next = left > 0 ? waiting.shift() : undefined) {
        left -= 1;
        next.go();
      }
    } finally {
      if (left < terms.perTurn) setImmediate(turn);
    }
  };
  return (take) => (bytes, source) => {
    if (left === terms.perTurn) setImmediate(turn);
    if (left > 0 && waiting.size === 0) {
      left -= 1;
      take(bytes, source);
      return;
    }
    const gone = waiting.push(source.address, { source, go: () => take(bytes, source) });
    if (gone) gaveWay(gone.source);
  };
}
