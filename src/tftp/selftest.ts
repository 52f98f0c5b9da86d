/** The server asks itself as a client would: a real request, answered with the size of the file. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { askSelf } from '../net/selftest.ts';
import { badSource, ownOf } from '../net/source.ts';
import { decode, encode } from './packet.ts';
import { errorBytes } from './transfer.ts';

export async function ask(name: string, address: string, port: number): Promise<Result<void, Fault<'NoAnswer'>>> {
  const own = ownOf(address, []);
  const why = await askSelf({
    address,
    port,
    packet: encode({ type: 'RRQ', name, mode: 'octet', options: [['tsize', '0']] }),
    judge(bytes, source, socket) {
      // What it asks is answered by ourselves, an error even by the port of requests.
      if (badSource(source, own)) return undefined;
      const packet = decode(bytes);
      if (!packet.ok || packet.value.type !== 'OACK')
        return packet.ok && packet.value.type === 'ERROR' ? packet.value.message : 'no OACK';
      socket.send(errorBytes('Undefined', 'self-test done'), source.port, source.address);
      return '';
    },
  });
  return why === '' ? ok(undefined) : fail('NoAnswer', `TFTP on ${address}:${port} did not give ${name}: ${why}`);
}
