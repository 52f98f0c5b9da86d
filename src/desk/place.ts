/** Where the API is, as options and environment say. Pure. */
import { Refusal } from '../terminal/refusal.ts';

export interface PlaceOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly release?: string;
  readonly server?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
}

export type Place =
  | {
      readonly kind: 'cluster';
      readonly kubeconfig?: string;
      readonly context?: string;
      /** Absent: the one that is found. */
      readonly release?: { readonly namespace?: string; readonly name: string };
    }
  | { readonly kind: 'server'; readonly url: URL; readonly tokenFile: string; readonly caFile?: string };

export function placeOf({ kubeconfig, context, release, server, tokenFile, caFile }: PlaceOptions): Place {
  if (server === undefined) {
    const alone = tokenFile === undefined ? (caFile === undefined ? undefined : '--ca-file') : '--token-file';
    if (alone) throw new Refusal(`${alone} is for --server https://HOST: with a kubeconfig both are found`);
    return {
      kind: 'cluster',
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
      ...(release === undefined ? {} : { release: namedOf('--release', release) }),
    };
  }
  const url = URL.parse(server);
  if (url?.protocol !== 'https:' || url.username !== '' || url.search !== '' || url.hash !== '')
    throw new Refusal(`--server ${server.replace(/\/\/[^/@]*@/, '//…@')}: it must look like https://HOST[:PORT]`);
  if (tokenFile === undefined)
    throw new Refusal('--server needs --token-file FILE: a file with a token of the cluster (`kubectl create token`)');
  const along = context !== undefined ? '--context' : release !== undefined ? '--release' : undefined;
  if (along) throw new Refusal(`${along} is of a kubeconfig, and --server uses none: leave one of them out`);
  return { kind: 'server', url, tokenFile, ...(caFile === undefined ? {} : { caFile }) };
}

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** `[NAMESPACE/]NAME`. */
export function namedOf(option: string, text: string): { readonly namespace?: string; readonly name: string } {
  const parts = text.split('/');
  const [name = '', namespace] = parts.toReversed();
  if (parts.length > 2 || !parts.every((part) => NAME.test(part)))
    throw new Refusal(`${option} ${text}: it must look like NAME or NAMESPACE/NAME`);
  return namespace === undefined ? { name } : { namespace, name };
}
