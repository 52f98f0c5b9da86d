/** How every edge begins to listen: what keeps it from it has one code and one sentence, whatever the protocol. */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Server } from 'node:net';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { holderOf } from './holder.ts';

export interface Place {
  readonly protocol: 'UDP' | 'TCP';
  readonly address: string;
  readonly port: number;
  /** The network card that it is tied to. */
  readonly device?: string | undefined;
  /** The way out where whoever has the port is to keep it: `set boot.tftp.enabled of the Farm to false`. */
  readonly instead: string;
}

export type ListenFault = Fault<'PortTaken' | 'AddressNotAvailable' | 'NoPermission' | 'ListenFailed'>;

/** `begin` rejects with what the kernel says, and leaves nothing open then. */
export async function listen<T>(place: Place, begin: () => Promise<T>): Promise<Result<T, ListenFault>> {
  try {
    return ok(await begin());
  } catch (error) {
    return { ok: false, error: await listenFault(place, errorCode(error) || errorMessage(error)) };
  }
}

/** No other process shares the port. `fd`: a descriptor that is bound already. */
export const listenUdp = (socket: Socket, place: Place, fd?: number): Promise<Result<Socket, ListenFault>> =>
  listen(place, async () => {
    const { address, port } = place;
    try {
      const listening = once(socket, 'listening'); // of a descriptor it is said within bind
      socket.bind(fd === undefined ? { address, port, exclusive: true } : { fd, exclusive: true });
      await listening;
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  });

/** The descriptor that it listens on, which is not in Node's types; undefined: it does not listen. */
export function descriptorOf(server: Server): number | undefined {
  const { _handle: handle } = server as Server & { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/** The fault of the kernel's `code`. */
export async function listenFault(place: Place, code: string): Promise<ListenFault> {
  const { protocol, address, port, device } = place;
  const where = `${protocol} port ${port} of ${address}${device === undefined ? '' : ` on ${device}`}`;
  switch (code) {
    case 'EADDRINUSE': {
      const message = `${where} is taken by ${await holderOf(place)}: stop it, or ${place.instead}; it is tried again by itself`;
      return { code: 'PortTaken', message };
    }
    case 'EADDRNOTAVAIL':
    case 'ENODEV': {
      const message = `${where} cannot be opened (${code}): this node has no such address or interface, see network of the StreamingServer`;
      return { code: 'AddressNotAvailable', message };
    }
    case 'EACCES':
    case 'EPERM': {
      const message = `${where} may not be opened (${code}): the process needs the capability NET_BIND_SERVICE`;
      return { code: 'NoPermission', message };
    }
    default:
      return { code: 'ListenFailed', message: `${where} cannot be opened: ${code}` };
  }
}
