/** The server asks itself as a client would: a real request, answered with the size of the file. */
import { createSocket } from 'node:dgram';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { hear } from '../net/hear.ts';
import { ownOf } from '../net/source.ts';
import { SELF_TEST_MS, SELF_TEST_RETRY_MS } from './limits.ts';
import { decode, encode } from './packet.ts';
import { errorBytes } from './transfer.ts';

export async function ask(name: string, address: string, port: number): Promise<Result<void, Fault<'NoAnswer'>>> {
  const socket = createSocket('udp4');
  const answered = Promise.withResolvers<string>();
  const timer = setTimeout(() => answered.resolve(`no answer within ${SELF_TEST_MS} ms`), SELF_TEST_MS);
  let retry: NodeJS.Timeout | undefined;
  try {
    socket.on('error', (error) => answered.resolve(error.message));
    // What it asks is answered by ourselves, an error even by the port of requests.
    hear(socket, { own: ownOf(address, []) }, (bytes, source) => {
      const packet = decode(bytes);
      if (packet.ok && packet.value.type === 'OACK') {
        socket.send(errorBytes('Undefined', 'self-test done'), source.port, source.address, () => answered.resolve(''));
      } else answered.resolve(packet.ok && packet.value.type === 'ERROR' ? packet.value.message : 'no OACK');
    });
    const request = encode({ type: 'RRQ', name, mode: 'octet', options: [['tsize', '0']] });
    socket.bind({ address, port: 0 }, () => {
      const send = (): void => socket.send(request, port, address);
      send();
      retry = setInterval(send, SELF_TEST_RETRY_MS);
    });
    const why = await answered.promise;
    return why === '' ? ok(undefined) : fail('NoAnswer', `TFTP on ${address}:${port} did not give ${name}: ${why}`);
  } finally {
    clearTimeout(timer);
    clearInterval(retry);
    socket.close();
  }
}
