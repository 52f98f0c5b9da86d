/** The reader's place as it is now, and how it changes: by the address alone, so that back and forth work. */
import { computed, signal } from '@preact/signals';
import { hashOf, type PageName, type Place, placeOf } from './route.ts';

const hash = signal(location.hash);
window.addEventListener('hashchange', () => {
  hash.value = location.hash;
});

export const place = computed(() => placeOf(hash.value));

/** Another page of the same farm. */
export function linkTo(page: PageName, rest: readonly string[] = [], query: Place['query'] = {}): string {
  const at = place.value;
  return at ? hashOf({ ...at, page, rest, query }) : '#';
}

export const linkToFarm = (namespace: string, farm: string): string =>
  hashOf({ namespace, farm, page: place.value?.page ?? 'farm', rest: [], query: {} });

export function go(to: string): void {
  location.hash = to;
}

/** Filters stand in the address; a letter more is no step back. */
export function setQuery(more: Place['query']): void {
  const at = place.value;
  if (!at) return;
  history.replaceState(null, '', hashOf({ ...at, query: { ...at.query, ...more } }));
  hash.value = location.hash;
}
