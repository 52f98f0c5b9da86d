/**
 * Who answers where a server of the farm should: read from its certificate, which nobody vouches for, so it is good for a message and for nothing
 * else.
 */
import { connect } from 'node:tls';
import { errorCode } from '../kit/errors.ts';

const TIMEOUT_MS = 2_000;
const MAX_NAME = 128;

/** Node's and OpenSSL's words for a certificate that does not belong here. */
const UNPROVEN = /^(UNABLE_TO_(VERIFY|GET_ISSUER)|(DEPTH_ZERO_)?SELF_SIGNED_CERT|ERR_TLS_CERT_ALTNAME_INVALID|CERT_)/;
export const isUnproven = (error: unknown): boolean => UNPROVEN.test(errorCode(error));

/** In words; undefined: it says nothing of itself. */
export function whoAnswers(host: string, port: number, servername: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, servername, rejectUnauthorized: false, timeout: TIMEOUT_MS });
    const done = (words: string | undefined): void => {
      socket.destroy();
      resolve(words);
    };
    socket.once('error', () => done(undefined));
    socket.once('timeout', () => done(undefined));
    socket.once('secureConnect', () => {
      const { issuer, subject } = socket.getPeerCertificate();
      done(wordsOf(issuer?.CN, subject?.CN));
    });
  });
}

/** The authority of a farm is named after it: `control/certificates.ts`. */
export function wordsOf(issuer: unknown, subject: unknown): string | undefined {
  const [by, of] = [printable(issuer), printable(subject)];
  if (by === '' && of === '') return undefined;
  const farm = /^bootfarm (.+)$/.exec(by)?.[1];
  return farm === undefined
    ? `what answers there is named ${of || 'nothing'}, by ${by || 'nobody'}`
    : `what answers there is ${of} of Farm ${farm}`;
}

const printable = (name: unknown): string =>
  typeof name === 'string' ? name.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_NAME) : '';
