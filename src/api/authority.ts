/** Whom callers may believe: the authority of the API's certificate, in a ConfigMap that everybody who is known may read. The Secret beside it has keys. */
import type { V1ConfigMap } from '@kubernetes/client-node';
import type { Answer, Client } from '../kube/client.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import type { Live } from '../kube/wire.ts';
import type { CertificatePlace } from './certificate.ts';

const TIMEOUT_MS = 10_000;

/** The chart makes it, empty: SERVICE-ca, with `ca.crt`. Written again, it stays as it is. */
export const publishAuthority = (
  client: Pick<Client, 'apply'>,
  { namespace, service }: CertificatePlace,
  ca: string,
): Answer<Live<V1ConfigMap>> =>
  client.apply<Live<V1ConfigMap>>(
    at(kinds.ConfigMap, namespace, `${service}-ca`),
    { data: { 'ca.crt': ca } },
    { timeoutMs: TIMEOUT_MS },
  );
