/**
 * Connections that wait at the door, accepted together. Node takes one a turn of its loop (libuv, `uv__server_io`), and a turn may hold 32 packets of each UDP
 * port: behind a crowd of fifty a machine waited fifty such turns before anybody read its question.
 */
import { type Server, Socket } from 'node:net';
import { ACCEPT_FLAGS, libc } from './libc.ts';
import { descriptorOf } from './listen.ts';

/** In a turn, of one server: each costs some 0.15 ms until its first question is read. */
const ACCEPTS_A_TURN = 16;

/** What waits behind the connection that Node has just given. Without libc nothing: Node gives them, one a turn. */
export function* alsoWaiting(server: Server): Generator<Socket> {
  const loaded = libc();
  const door = descriptorOf(server);
  if (!loaded.ok || door === undefined) return;
  for (let more = 1; more < ACCEPTS_A_TURN; more += 1) {
    const fd = loaded.value.accept4(door, 0, 0, ACCEPT_FLAGS);
    if (fd < 0) return;
    yield new Socket({ fd, readable: true, writable: true, allowHalfOpen: true }).setNoDelay(true);
  }
}
