/** The sockets of TFTP: the port of requests, and a few ports that all transfers share. */
import type { Socket } from 'node:dgram';
import { fail, ok, type Result } from '../kit/result.ts';
import type { ListenFault } from '../net/listen.ts';

import { openUdp } from '../net/udp.ts';
import { PORTS, SEND_BUFFER_BYTES } from './limits.ts';

/** A transfer's identifier is the client's address and port and the server's port (RFC 1350 section 4): these need not differ from client to client. */
export class Ports {
  /** Where requests come in. */
  readonly requests: Socket;
  /** By the number that a place has. */
  readonly transfers: readonly Socket[];

  private constructor(requests: Socket, transfers: readonly Socket[]) {
    this.requests = requests;
    this.transfers = transfers;
  }

  /** `port`: that of requests. */
  static async open(address: string, port: number): Promise<Result<Ports, ListenFault>> {
    const bound: Socket[] = [];
    for (const wanted of [port, ...Array<number>(PORTS).fill(0)]) {
      const socket = await bind(address, wanted);
      if (!socket.ok) {
        for (const other of bound) other.close();
        return socket;
      }
      bound.push(socket.value);
    }
    const [requests, ...transfers] = bound;
    for (const socket of transfers) socket.setSendBufferSize(SEND_BUFFER_BYTES); // the kernel gives what it may, without a word
    return requests ? ok(new Ports(requests, transfers)) : fail('ListenFailed', 'no socket');
  }

  get all(): readonly Socket[] {
    return [this.requests, ...this.transfers];
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }
}

function bind(address: string, port: number): Promise<Result<Socket, ListenFault>> {
  // Addresses here are numbers: Node's own look-up of each costs a turn of the event loop a packet.
  const lookup = (host: string, _: unknown, found: (error: null, address: string, family: number) => void): void =>
    found(null, host, 4);
  const instead = 'set boot.tftp.enabled of the Farm to false';
  return openUdp({ protocol: 'UDP', address, port, instead }, { lookup });
}
