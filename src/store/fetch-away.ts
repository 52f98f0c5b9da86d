/**
 * Connections to where a web server leads: not back to the machine that asks, nor to what only that one reaches. Who may make a VDisk chooses its address; who has that
 * server must not choose what else the node asks, such as its own ports and the metadata of a cloud.
 */
import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';

export const IS_NEAR = 'ERR_ADDRESS_IS_NEAR';

/** Loopback, unspecified (which is loopback, too) and link-local, which metadata have; Amazon's has one more. */
const NEAR = new BlockList();
for (const [net, bits] of [['127.0.0.0', 8] as const, ['0.0.0.0', 8] as const, ['169.254.0.0', 16] as const])
  NEAR.addSubnet(net, bits);
NEAR.addSubnet('fe80::', 10, 'ipv6');
for (const address of ['::', '::1', 'fd00:ec2::254']) NEAR.addAddress(address, 'ipv6');

/** False: it is no address, but a name. */
const isNear = (address: string): boolean =>
  isIP(address) !== 0 && NEAR.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** One that is near ends with `IS_NEAR`, before any byte goes there. */
export function connectAway(timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, lookup: lookupAway });
  return (options, done) =>
    isNear(options.hostname.replace(/^\[|\]$/g, '')) ? done(near(options.hostname), null) : connect(options, done);
}

/** A name is as near as any of its addresses. */
const lookupAway: LookupFunction = (hostname, options, done) =>
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? [];
    if (error || !first) return done(error ?? near(hostname), '');
    if (addresses.some(({ address }) => isNear(address))) return done(near(hostname), '');
    return options.all ? done(null, addresses) : done(null, first.address, first.family);
  });

const near = (hostname: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${hostname} is this machine`), { code: IS_NEAR });
