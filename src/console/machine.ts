/** A device with what it streams, as the page holds ten thousand of them. Pure. */
import type { Device, Session } from './shapes.ts';

export interface Machine {
  readonly device: Device;
  readonly session?: Session;
  /** What a search looks into. */
  readonly text: string;
}

const textOf = ({ name, macs }: Device): string => `${name}\n${macs.join('\n')}`.toLowerCase();

export function machineOf({ session, ...device }: Device): Machine {
  return { device, text: textOf(device), ...(session ? { session } : {}) };
}

/** An event of a device says nothing of its session, and one of a session nothing of its device. */
export const withDevice = (device: Device, { session }: Partial<Machine> = {}): Machine => ({
  device,
  text: textOf(device),
  ...(session ? { session } : {}),
});
export const withSession = ({ device, text }: Machine, session: Session | undefined): Machine => ({
  device,
  text,
  ...(session ? { session } : {}),
});

export const MACHINE_STATES = ['Streaming', 'Booting', 'Off', 'Disabled'] as const;
export type MachineState = (typeof MACHINE_STATES)[number];

/** As the status of the Farm counts them. */
const BOOTING_MS = 60_000;

export function stateOf({ device, session }: Machine, nowMs: number): MachineState {
  if (session) return nowMs - session.since < BOOTING_MS ? 'Booting' : 'Streaming';
  return device.enabled ? 'Off' : 'Disabled';
}

export interface Wanted {
  readonly search: string;
  readonly collection: string;
  readonly state: string;
  readonly server: string;
  readonly vdisk: string;
}

/** Any spelling of a MAC: `52-54-00…`, `5254.00…`. */
function needleOf(search: string): string {
  const text = search.trim().toLowerCase();
  const hex = text.replaceAll(/[^0-9a-f]/g, '');
  const isMac = /^[0-9a-f]{2}([:-][0-9a-f]{2})+[:-]?$|^[0-9a-f]{4}\.[0-9a-f.]+$/.test(text);
  return isMac ? (hex.match(/../g)?.join(':') ?? text) : text;
}

/** Names in their order, those that are wanted. */
export function wanted(
  machines: ReadonlyMap<string, Machine>,
  names: readonly string[],
  { search, collection, state, server, vdisk }: Wanted,
  nowMs: number,
): readonly string[] {
  const needle = needleOf(search);
  if (needle === '' && collection === '' && state === '' && server === '' && vdisk === '') return names;
  return names.filter((name) => {
    const machine = machines.get(name);
    return (
      machine !== undefined &&
      (needle === '' || machine.text.includes(needle)) &&
      (collection === '' || machine.device.collection === collection) &&
      (server === '' || machine.session?.server === server) &&
      (vdisk === '' || machine.session?.vdisk === vdisk) &&
      (state === '' || stateOf(machine, nowMs) === state)
    );
  });
}

/** By code unit, as the API sorts. */
export const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** How many stream what: by vDisk, version and server. */
export function streamed(
  machines: ReadonlyMap<string, Machine>,
): readonly { vdisk: string; version: number; server: string; devices: number }[] {
  const found = new Map<string, { vdisk: string; version: number; server: string; devices: number }>();
  for (const { session } of machines.values()) {
    if (!session) continue;
    const { vdisk, version, server } = session;
    const key = `${vdisk}/${version}/${server}`;
    const entry = found.get(key) ?? { vdisk, version, server, devices: 0 };
    entry.devices++;
    found.set(key, entry);
  }
  return [...found.values()];
}
