/** Who may ask at a server's control port, and what: by the name and the use in its certificate, which TLS has proven before. Pure. */
import type { X509Certificate } from 'node:crypto';
import type { Subject } from './certificates.ts';

/** The DNS name in the certificate of the farm's operator. A server's certificate may bear it, too, of a node so named: it has not the use. */
export const OPERATOR_NAME = 'bootfarm-operator';
/** The DNS name in the certificate with which any server of the farm asks others. */
export const SERVER_NAME = 'bootfarm-server';

/** With which the server of this node asks others. Its node is in a field that gives no right, so no node gains one by its name. */
export const askingServer = (node: string): Subject => ({ names: [SERVER_NAME], commonName: node, use: 'client' });

export type Caller = { readonly kind: 'operator' } | { readonly kind: 'server'; readonly node: string };

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'; // id-kp-clientAuth, RFC 5280, 4.2.1.12

/** Undefined: nobody who may ask anything. */
export function callerOf(certificate: X509Certificate | undefined): Caller | undefined {
  if (!certificate) return undefined;
  if (asksAs(OPERATOR_NAME, certificate)) return { kind: 'operator' };
  const node = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  return asksAs(SERVER_NAME, certificate) && node !== undefined ? { kind: 'server', node } : undefined;
}

/** A certificate without the extension would be good for every use: it must say this one. */
const asksAs = (name: string, certificate: X509Certificate): boolean =>
  certificate.keyUsage?.includes(CLIENT_AUTH) === true &&
  certificate.checkHost(name, { subject: 'never', wildcards: false }) !== undefined;
