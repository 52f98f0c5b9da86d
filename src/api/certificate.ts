/** The certificate of the API: of an authority of its own, in a Secret of the operator's namespace that all copies share, made by whoever comes first. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { certificateFiles, type KeyPair, makeAuthority, pairFiles } from '../control/certificates.ts';
import { fail, ok, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import type { ApiFault } from '../kube/fault.ts';
import { keepSecret, type SecretData } from '../reconcile/secrets.ts';

export interface ApiCertificate extends KeyPair {
  /** Whom callers may believe: `ca.crt` of the Secret. */
  readonly ca: string;
}

export interface CertificatePlace {
  readonly namespace: string;
  /** Of the Service. The Secret is NAME-tls. */
  readonly service: string;
}

const DAY_MS = 86_400_000;
/** An authority lives ten years; from here on a new one signs. */
const AUTHORITY_LEFT_MS = 365 * DAY_MS;
/** Another copy may write at the same moment. */
const TRIES = 3;
const TIMEOUT_MS = 10_000;

const secretName = (service: string): string => `${service}-tls`;

/** Where it is asked for: within the cluster by the Service, and by a port-forward. */
const namesOf = ({ namespace, service }: CertificatePlace) => ({
  names: [
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.cluster.local`,
    `${service}.${namespace}`,
    service,
    'localhost',
  ] as [string, ...string[]],
  addresses: ['127.0.0.1'],
  use: 'server' as const,
});

/** As the Secret holds it, made or renewed where it is due. */
export async function keepCertificate(
  client: Client,
  place: CertificatePlace,
  now = Date.now(),
): Promise<Result<ApiCertificate, ApiFault>> {
  const { namespace, service } = place;
  const labels = { 'app.kubernetes.io/managed-by': 'bootfarm' };
  let last: Result<never, ApiFault> | undefined;
  for (let time = 0; time < TRIES; time++) {
    const want = (held: SecretData) => wanted(held, place, now);
    const kept = await keepSecret(client, namespace, secretName(service), labels, want, { timeoutMs: TIMEOUT_MS });
    if (kept.ok) {
      const [cert = '', key = '', ca = ''] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) =>
        (kept.value.data[name] ?? '').toString(),
      );
      return ok({ cert, key, ca });
    }
    if (kept.error.code !== 'Conflict' && kept.error.code !== 'AlreadyExists') return kept;
    last = kept;
  }
  return last ?? fail('Conflict', `Secret ${namespace}/${secretName(service)} is written by others again and again`);
}

/** What serves in place of what is held. Pure but for new keys. */
export async function wanted(held: SecretData, place: CertificatePlace, now: number): Promise<SecretData> {
  const { 'ca.crt': cert, 'ca.key': key, ...given } = held;
  const isGood = key !== undefined && isPair(cert, key, now) && !isEnding(cert, now);
  const authority = isGood
    ? { cert: cert.toString(), key: key.toString() }
    : await makeAuthority(`API ${place.namespace}/${place.service}`, now);
  const { 'tls.crt': caCert, 'tls.key': caKey } = pairFiles(authority);
  const pair = isPair(given['tls.crt'], given['tls.key'], now) ? given : {};
  return { 'ca.crt': caCert, 'ca.key': caKey, ...(await certificateFiles(pair, authority, namesOf(place), now)) };
}

const isEnding = (cert: Buffer, now: number): boolean =>
  Date.parse(new X509Certificate(cert).validTo) - now < AUTHORITY_LEFT_MS;

/** TLS does not begin with a key that is not the certificate's, and nobody believes one that is of tomorrow. */
function isPair(cert: Buffer | undefined, key: Buffer | undefined, now: number): cert is Buffer {
  if (!cert || !key) return false;
  try {
    const read = new X509Certificate(cert);
    return read.checkPrivateKey(createPrivateKey(key)) && Date.parse(read.validFrom) <= now;
  } catch {
    return false;
  }
}
