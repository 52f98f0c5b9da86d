/** Who may ask at a server's control port: the operator, by the name and the use in its certificate, which TLS has proven before. Pure. */
import type { X509Certificate } from 'node:crypto';

/** The DNS name in the certificate of the farm's operator. A server's certificate may bear it, too, of a node so named: it has not the use. */
export const OPERATOR_NAME = 'bootfarm-operator';

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'; // id-kp-clientAuth, RFC 5280, 4.2.1.12

/** A certificate without the extension would be good for every use: it must say this one. */
export const isOperator = (certificate: X509Certificate | undefined): boolean =>
  certificate?.keyUsage?.includes(CLIENT_AUTH) === true &&
  certificate.checkHost(OPERATOR_NAME, { subject: 'never', wildcards: false }) !== undefined;
