/** A socket of ProxyDHCP: it may broadcast, and hears one interface. */
import type { Socket } from 'node:dgram';
import type { Result } from '../kit/result.ts';
import type { ListenFault } from '../net/listen.ts';
import { openUdp } from '../net/udp.ts';

/** Without `device`: of every interface. */
export async function openSocket(
  address: string,
  port: number,
  device: string | undefined,
): Promise<Result<Socket, ListenFault>> {
  const instead = 'set boot.proxyDHCP.enabled of the Farm to false';
  const bound = await openUdp({ protocol: 'UDP', address, port, device, instead });
  if (bound.ok) bound.value.setBroadcast(true);
  return bound;
}
