/** What a machine is told, from the farm's data: looked up by MAC, then by UUID; added where the site adds unknown machines. */
import type { Verdict } from '../dhcp/answer.ts';
import { otherOrder, parseMac } from '../farm/address.ts';
import { type BootDecision, decideBoot } from '../farm/boot.ts';
import { bootstrapOf } from '../farm/bootstrap.ts';
import type { FarmAnswer, FarmData } from '../farm/data.ts';
import type { Device } from '../farm/model.ts';
import { BOOT_TOKEN_LIFE_SECONDS, sealBootToken } from '../farm/token.ts';
import type { Machine } from '../httpboot/server.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { KeyRing } from '../kit/seal.ts';
import type { AutoAdd } from './autoadd.ts';
import type { Uuids } from './uuids.ts';
import type { FarmView } from './view.ts';

export interface BootOptions {
  readonly site: string;
  readonly data: FarmData;
  readonly view: FarmView;
  readonly ring: () => KeyRing;
  readonly autoAdd: AutoAdd;
  readonly uuids: Uuids;
}

const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

/** A sealed boot token for what was decided; fetched again when it expires. */
export function bootToken(
  { ring, site }: BootOptions,
  boot: Extract<BootDecision, { kind: 'boot' }>,
  mac: string,
): Uint8Array {
  const { device, vdisk, version, manifest } = boot;
  const expires = nowSeconds() + BOOT_TOKEN_LIFE_SECONDS;
  return sealBootToken(ring(), {
    device: device.name,
    mac,
    ...(device.uuid === undefined ? {} : { uuid: device.uuid }),
    site,
    vdisk: vdisk.name,
    version: version.number,
    manifest,
    expires,
  });
}

/** The device that a machine is: by its MAC, else by its UUID, unless another machine was seen with that. */
async function identify({ data, uuids }: BootOptions, { mac, uuid }: Machine): FarmAnswer<Device | undefined> {
  const byMac = await data.deviceByMac(mac);
  if (!byMac.ok || uuid === undefined) return byMac;
  let found = byMac.value ? byMac : await data.deviceByUuid(uuid);
  if (found.ok && !found.value) found = await data.deviceByUuid(otherOrder(uuid));
  if (!found.ok) return found;
  return uuids.isShared(found.value, { uuid, mac, own: byMac.value?.macs ?? [] }) ? byMac : found;
}

/** Adds nothing: for the protocols that only have to know whether to answer. */
export async function lookUp(options: BootOptions, machine: Machine): Promise<Result<BootDecision, Fault>> {
  const { view, site } = options;
  const { snapshot } = view;
  if (!snapshot) return fail('NotLoaded', view.fault?.message ?? 'the farm data is not loaded yet');
  const device = await identify(options, machine);
  if (!device.ok) return device;
  const decision = decideBoot(snapshot, site, device.value, nowSeconds());
  return decision ? ok(decision) : fail('SiteUnknown', `farm ${snapshot.farm.name} has no site ${site}`);
}

/** Whether ProxyDHCP may say a word to this machine. While the data is away: not one packet, as for a machine that the farm does not know. */
export async function dhcpVerdict(options: BootOptions, machine: Machine): Promise<Verdict> {
  const decided = await lookUp(options, machine);
  if (!decided.ok) return unanswered(decided.error);
  const { value } = decided;
  if (value.kind === 'refused' && value.code === 'OtherSite') return unanswered(value);
  return value.kind === 'unknown' ? { kind: 'unknown', action: value.action } : { kind: 'known' };
}

const unanswered = ({ code, message }: Fault): Verdict => ({
  kind: 'unknown',
  action: 'Ignore',
  reason: { code, message },
});

/**
 * Whether TFTP may say a word to who asks from `address`. Where the site ignores unknown machines, it may not to a neighbour whose card the farm does not
 * know, unless ProxyDHCP has answered it (it knows the UUID too). A machine behind a router has no card that could be known here: it is answered.
 */
export async function tftpMayAnswer(
  options: BootOptions,
  macOf: (address: string) => Promise<string | undefined>,
  address: string,
): Promise<boolean> {
  const { snapshot } = options.view;
  if (!snapshot || bootstrapOf(snapshot, options.site)?.boot.unknownDevices !== 'Ignore') return true;
  const text = await macOf(address);
  const mac = text === undefined ? undefined : parseMac(text);
  if (mac === undefined || options.autoAdd.heard.knows(mac, performance.now())) return true;
  const verdict = await dhcpVerdict(options, { mac });
  return verdict.kind === 'known';
}

/** `lookUp`, and where the site's rule for unknown machines is AutoAdd, what the machine boots once it is added. */
export async function decide(options: BootOptions, machine: Machine): Promise<Result<BootDecision, Fault>> {
  const decided = await lookUp(options, machine);
  const farm = options.view.snapshot?.farm;
  if (!decided.ok || decided.value.kind !== 'unknown' || decided.value.action !== 'AutoAdd' || !farm) return decided;
  const added = await options.autoAdd.add(farm, machine);
  if (!added.ok) return added;
  const decision = options.view.snapshot && decideBoot(options.view.snapshot, options.site, added.value, nowSeconds());
  return decision ? ok(decision) : decided;
}
