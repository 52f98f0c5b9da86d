/** The farm's data in memory, for tests of whatever reads it. */
import type { FarmAnswer, FarmData, FarmDataFault } from '../../src/farm/data.ts';
import type { Device, FarmSnapshot, Session } from '../../src/farm/model.ts';
import { knownDevice } from '../../src/farm/refusal.ts';
import { ok } from '../../src/kit/result.ts';

export interface FarmContents {
  readonly snapshot: FarmSnapshot;
  readonly devices: readonly Device[];
  readonly sessions: readonly Session[];
  /** Names of devices that were removed. */
  readonly removed?: readonly string[];
}

export interface FakeFarmData extends FarmData {
  /** Replaces the contents, heals a fault, and tells the listeners. */
  load(contents: FarmContents): void;
  /** Every call answers this from now on. */
  breakWith(fault: FarmDataFault): void;
}

const NOT_LOADED: FarmDataFault = { code: 'NotLoaded', message: 'the fake holds no farm: call load()' };

export function createFakeFarmData(contents?: FarmContents): FakeFarmData {
  let held: FarmContents | FarmDataFault = contents ?? NOT_LOADED;
  const listeners = new Set<() => void>();
  const change = (next: FarmContents | FarmDataFault): void => {
    held = next;
    for (const listener of listeners) listener();
  };
  const answer = async <T>(pick: (contents: FarmContents) => T): FarmAnswer<T> =>
    'code' in held ? { ok: false, error: held } : ok(structuredClone(pick(held)));
  return {
    snapshot: () => answer(({ snapshot }) => snapshot),
    deviceByMac: (mac) => answer(({ devices }) => devices.find(({ macs }) => macs.includes(mac))),
    deviceByName: (name) => answer(({ devices }) => devices.find((device) => device.name === name)),
    devicesByName: (names) =>
      answer(
        ({ devices, removed = [] }) =>
          new Map(
            names.map((name) => {
              const device = devices.find((found) => found.name === name);
              return [name, knownDevice(device, removed.includes(name))];
            }),
          ),
      ),
    deviceByUuid: (uuid) => answer(({ devices }) => devices.find((device) => device.uuid === uuid)),
    deviceCount: () => answer(({ devices }) => devices.length),
    sessionOf: (device) => answer(({ sessions }) => sessions.find((session) => session.device === device)),
    onChange(callback) {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
    async close() {
      listeners.clear();
    },
    load: change,
    breakWith: change,
  };
}
