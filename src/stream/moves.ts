/** A session that is to go to another server: MOVE, until it has left or the time is over. */
import { MOVE_EVERY_MS } from './limits.ts';
import { answer, type Effect, type Session, type Shard, tally } from './shard.ts';

export function moves(shard: Shard, session: Session, nowMs: number): Effect[] {
  const { move } = session;
  if (!move || nowMs < move.nextMs || nowMs > move.untilMs) return [];
  move.nextMs = nowMs + MOVE_EVERY_MS;
  tally(shard, 'moves');
  const { server, untilMs } = move;
  return [answer(shard, session, (header) => ({ type: 'MOVE', ...header, server, withinMs: untilMs - nowMs }))];
}
