/** What the operator tells a server: one JSON file, mounted into its pod. Everything else comes from the replica. */
import { readFileSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { type Static, Type } from 'typebox';
import { Errors, Value } from 'typebox/value';
import { sameSubnet } from '../../kit/address.ts';
import { errorMessage } from '../../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../../kit/result.ts';

const Port = Type.Integer({ minimum: 0, maximum: 65_535 });

export const ServerConfig = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 253 }),
  farm: Type.String({ minLength: 1 }),
  /** Of the farm's keys: what is kept in the state directory is of this farm. */
  lineage: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  site: Type.String({ minLength: 1 }),
  pool: Type.String({ minLength: 1 }),
  /** At most one of these; none: the environment's NODE_ADDRESS. */
  address: Type.Optional(Type.String()),
  interface: Type.Optional(Type.String()),
  cidrs: Type.Optional(Type.Array(Type.String())),
  powerRating: Type.Number({ minimum: 0.1, maximum: 1_000 }),
  limits: Type.Object({ maxDevices: Type.Integer({ minimum: 1 }), maxBooting: Type.Integer({ minimum: 1 }) }),
  drainTimeoutSeconds: Type.Integer({ minimum: 0 }),
  storeRoots: Type.Array(Type.String()),
  stateDirectory: Type.String(),
  ports: Type.Object({
    stream: Port,
    http: Port,
    control: Port,
    telemetry: Port,
    dhcp: Port,
    pxe: Port,
    tftp: Port,
  }),
  replicaSocket: Type.String(),
  databaseUriFile: Type.String(),
  keysDirectory: Type.String(),
  tlsDirectory: Type.String(),
  logLevel: Type.Optional(
    Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
  ),
});
export type ServerConfig = Static<typeof ServerConfig>;

export function readConfig(path: string): Result<ServerConfig, Fault<'ConfigInvalid'>> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (Value.Check(ServerConfig, value)) return ok(value);
    const [first] = Errors(ServerConfig, value);
    return fail('ConfigInvalid', `${path}: ${first?.instancePath || '/'} ${first?.message ?? 'is wrong'}`);
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
