/** A server's question to its own UDP port, as a client asks it. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Source } from './source.ts';

/** Below the deadline of readiness, which would say in its place that the main thread is late. On one machine an answer takes microseconds. */
export const SELF_TEST_MS = 1_500;
/** It asks again, as a client does: in a flood the kernel drops its packets like any other. */
const SELF_TEST_RETRY_MS = 100;

export interface Question {
  /** Of the socket that asks; the packet goes to `port` there. */
  readonly address: string;
  readonly port: number;
  readonly packet: Uint8Array;
  /** The port that it asks from. */
  readonly onPort?: (port: number) => void;
  /** Undefined: no answer to this; '': answered; what else: why not. */
  readonly judge: (bytes: Buffer, source: Source, socket: Socket) => string | undefined;
}

/** '' when it was answered, or why not. */
export async function askSelf({ address, port, packet, onPort, judge }: Question): Promise<string> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const answered = Promise.withResolvers<string>();
  const deadline = setTimeout(() => answered.resolve(`no answer within ${SELF_TEST_MS} ms`), SELF_TEST_MS);
  let retry: NodeJS.Timeout | undefined;
  try {
    socket.on('error', (error) => answered.resolve(error.message));
    socket.on('message', (bytes, source) => {
      const verdict = judge(bytes, source, socket);
      if (verdict !== undefined) answered.resolve(verdict);
    });
    socket.bind({ address, port: 0 }, () => {
      onPort?.(socket.address().port);
      const send = (): void => socket.send(packet, port, address);
      send();
      retry = setInterval(send, SELF_TEST_RETRY_MS);
    });
    return await answered.promise;
  } finally {
    clearTimeout(deadline);
    clearInterval(retry);
    await new Promise<void>((resolve) => setImmediate(resolve)); // a last packet is still sent
    socket.close();
  }
}
