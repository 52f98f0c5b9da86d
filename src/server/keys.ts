/** The farm's keys from the folder that the Secret `<farm>-keys` is mounted at: `current` names one of `key-<id>`, 32 bytes each. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { KeyRing } from '../kit/seal.ts';
import type { Logger } from '../telemetry/log.ts';

const KEY_BYTES = 32;

export function readKeys(directory: string): Result<KeyRing, Fault<'KeysInvalid'>> {
  try {
    const keys = new Map<number, Uint8Array>();
    for (const name of readdirSync(directory)) {
      const id = /^key-(\d{1,9})$/.exec(name)?.[1];
      if (id === undefined) continue;
      const key = readFileSync(join(directory, name));
      if (key.length !== KEY_BYTES)
        return fail('KeysInvalid', `${join(directory, name)} has ${key.length} bytes, not ${KEY_BYTES}`);
      keys.set(Number(id), key);
    }
    const current = Number(readFileSync(join(directory, 'current'), 'utf8').trim());
    if (!keys.has(current)) return fail('KeysInvalid', `${directory} has no key-${current}, which current names`);
    return ok({ current, keys });
  } catch (error) {
    return fail('KeysInvalid', `cannot read the farm's keys in ${directory}: ${errorMessage(error)}`);
  }
}

/** Keeps the ring in step with the folder: the kubelet swaps its files when the Secret changes. A broken folder keeps the last good ring, and is said once. */
export class Keys {
  #ring: KeyRing;
  readonly #timer: NodeJS.Timeout;

  constructor(directory: string, first: KeyRing, log: Logger, everyMs = 10_000) {
    this.#ring = first;
    let said: string | undefined;
    this.#timer = setInterval(() => {
      const read = readKeys(directory);
      if (read.ok && !same(read.value, this.#ring)) this.#ring = read.value;
      const fault = read.ok ? undefined : read.error.message;
      if (fault !== undefined && fault !== said) log.warn({ fault }, 'keys not read again');
      said = fault;
    }, everyMs);
    this.#timer.unref();
  }

  readonly ring = (): KeyRing => this.#ring;

  close(): void {
    clearInterval(this.#timer);
  }
}

/** An unchanged ring stays the same object, so that what was derived from its keys stays cached. */
const same = (a: KeyRing, b: KeyRing): boolean =>
  a.current === b.current &&
  a.keys.size === b.keys.size &&
  [...a.keys].every(([id, key]) => Buffer.compare(key, b.keys.get(id) ?? new Uint8Array(0)) === 0);
