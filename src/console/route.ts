/** Where the reader is: `#/NAMESPACE/FARM/PAGE/NAME?filter=…`, so that a place can be kept and sent. Pure. */

export const PAGES = ['farm', 'vdisks', 'servers', 'devices', 'unknown', 'audit', 'resources'] as const;
export type PageName = (typeof PAGES)[number];

export interface Place {
  readonly namespace: string;
  readonly farm: string;
  readonly page: PageName;
  /** What is behind the page: a vDisk, a device, or a word that none is called: `~new`. */
  readonly rest: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** Undefined: it is none; the first farm is shown then. */
export function placeOf(hash: string): Place | undefined {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [namespace = '', farm = '', page = 'farm', ...rest] = path.split('/').map(decoded);
  if (namespace === '' || farm === '') return undefined;
  return {
    namespace,
    farm,
    page: PAGES.find((known) => known === page) ?? 'farm',
    rest: rest.filter((part) => part !== ''),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

export function hashOf({ namespace, farm, page, rest, query }: Place): string {
  const path = [namespace, farm, page, ...rest].map(encodeURIComponent).join('/');
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '')).toString();
  return `#/${path}${search === '' ? '' : `?${search}`}`;
}
