/** Who asks, and of which farm: one at a time. */
import { effect, signal } from '@preact/signals';
import { believe, hasToken, Refused } from './ask.ts';
import { FarmData, listFarms } from './farmdata.ts';
import { linkToFarm, place } from './place.ts';
import type { Farm } from './shapes.ts';

export type Door =
  | { readonly state: 'asking' }
  /** Nobody is known yet, or not any more. */
  | { readonly state: 'unknown'; readonly reason?: string }
  | { readonly state: 'failed'; readonly reason: string }
  /** `reason`: why no farms are listed. */
  | { readonly state: 'open'; readonly farms: readonly Farm[]; readonly reason?: string };

export const door = signal<Door>({ state: 'asking' });
export const data = signal<FarmData | undefined>(undefined);

/**
 * Asked without a token first: behind `bootfarm console`, or with a client certificate, somebody is known already. Whoever is not pastes a token.
 */
export async function knock(token?: string): Promise<void> {
  if (token !== undefined) believe(token);
  door.value = { state: 'asking' };
  try {
    const { items } = await listFarms();
    door.value = { state: 'open', farms: items };
    const [first] = items;
    if (!place.value && first) location.replace(linkToFarm(first.namespace, first.name));
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const status = thrown instanceof Refused ? thrown.status : 0;
    // Who is bound to a collection may list no farms, and may see what the address names.
    if (status === 403) door.value = { state: 'open', farms: [], reason };
    else if (status !== 401) door.value = { state: 'failed', reason };
    if (status !== 401) return;
    const isRefused = hasToken();
    believe(undefined);
    door.value = isRefused ? { state: 'unknown', reason } : { state: 'unknown' };
  }
}

export function leave(): void {
  believe(undefined);
  data.value?.close();
  data.value = undefined;
  door.value = { state: 'unknown' };
}

export const mayLeave = hasToken;

/** The farm of the address is the one that is watched. */
effect(() => {
  const at = place.value;
  const isOpen = door.value.state === 'open';
  const before = data.peek();
  if (isOpen && at && before?.namespace === at.namespace && before.name === at.farm) return;
  before?.close();
  data.value = isOpen && at ? new FarmData(at.namespace, at.farm) : undefined;
});

/** A token that ran out: whoever is there gives another one. */
effect(() => {
  const link = data.value?.link.value;
  if (link?.state !== 'ended' || link.status !== 401) return;
  believe(undefined);
  door.value = { state: 'unknown', reason: link.reason };
});
