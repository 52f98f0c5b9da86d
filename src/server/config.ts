/** What the operator mounted for this server, and which address of the node serves. */
import { readFileSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { parseConfig, type ServerConfig } from '../control/config.ts';
import { sameSubnet } from '../kit/address.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export function readConfig(path: string): Result<ServerConfig, Fault<'ConfigInvalid'>> {
  try {
    const config = parseConfig(readFileSync(path, 'utf8'));
    return config.ok ? config : fail('ConfigInvalid', `${path}: ${config.error.message}`);
  } catch (error) {
    return fail('ConfigInvalid', `${path}: ${errorMessage(error)}`);
  }
}

export interface NodeAddress {
  readonly address: string;
  readonly prefixLength: number;
  readonly interface: string;
}

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** The one address of this node that serves: IPv4 for now. Tells every address that was there when none fits. */
export function chooseAddress(
  config: Pick<ServerConfig, 'address' | 'interface' | 'cidrs'>,
  nodeAddress: string | undefined,
  interfaces: Interfaces = networkInterfaces(),
): Result<NodeAddress, Fault<'NoAddress'>> {
  const all = Object.entries(interfaces).flatMap(([name, infos = []]) =>
    infos
      .filter((info) => info.family === 'IPv4')
      .map((info) => ({
        address: info.address,
        prefixLength: Number(info.cidr?.split('/')[1] ?? 32),
        interface: name,
      })),
  );
  const wanted = config.address ?? (config.interface || config.cidrs ? undefined : nodeAddress);
  const inCidr = (address: string, cidr: string): boolean => {
    const [network = '', bits = '32'] = cidr.split('/');
    return sameSubnet(address, network, Number(bits));
  };
  const found = all.find((candidate) => {
    if (config.interface) return candidate.interface === config.interface;
    if (config.cidrs) return config.cidrs.some((cidr) => inCidr(candidate.address, cidr));
    return candidate.address === wanted;
  });
  if (found) return ok(found);
  const what = config.interface
    ? `interface ${config.interface}`
    : (config.cidrs?.join(', ') ?? wanted ?? 'an address: set network of the StreamingServer, or NODE_ADDRESS');
  return fail(
    'NoAddress',
    `this node has no IPv4 address for ${what}; it has ${all.map(({ address, interface: name }) => `${address} on ${name}`).join(', ') || 'none'}`,
  );
}
