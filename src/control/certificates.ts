/** The farm's control authority and the certificates it gives: for servers and for the operator, mutual TLS between them. */
import 'reflect-metadata';
import { X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Who signs certificates, and whose certificates are believed: PEM, one after another. */
export interface Authority {
  readonly signer: KeyPair;
  readonly trust: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
const CERTIFICATE_DAYS = 90;
/** Clocks of nodes may be behind. */
const BACKDATE_MS = 3_600_000;

const generateKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
const keyPem = async (key: webcrypto.CryptoKey): Promise<string> =>
  `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
const readKey = (pem: string): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), ALGORITHM, true, ['sign']);

const span = (now: number, days: number) => ({
  notBefore: new Date(now - BACKDATE_MS),
  notAfter: new Date(now + days * DAY_MS),
});

/** Two of one farm are believed at once while they change: who verifies finds the one that signed by its name alone, so no two have the same. */
export async function makeAuthority(name: string, now: number): Promise<KeyPair> {
  const keys = await generateKeys();
  const serial = randomBytes(8).toString('hex');
  const cert = await X509CertificateGenerator.createSelfSigned({
    name: `CN=bootfarm ${name}, 2.5.4.5=${serial}`,
    ...span(now, AUTHORITY_DAYS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return { cert: `${cert.toString('pem')}\n`, key: await keyPem(keys.privateKey) };
}

/** Whom a certificate is for. It answers (serverAuth) or asks (clientAuth), never both: nobody who answers may ask in the operator's place. */
export interface Subject {
  /** Its DNS names, the own one first: who connects asks for one of them, whatever the address. */
  readonly names: readonly [string, ...string[]];
  /** Who it is, where its names say what it may; absent: the own name. */
  readonly commonName?: string;
  /** IP addresses, for clients that connect by address. */
  readonly addresses?: readonly string[];
  readonly use: 'server' | 'client';
}

const USES = { server: ExtendedKeyUsage.serverAuth, client: ExtendedKeyUsage.clientAuth } as const;

export async function makeCertificate(authority: KeyPair, subject: Subject, now: number): Promise<KeyPair> {
  const keys = await generateKeys();
  const { names, addresses = [], use } = subject;
  const issuer = new X509Certificate(authority.cert);
  const cert = await X509CertificateGenerator.create({
    subject: distinguishedName(subject),
    issuer: issuer.subject,
    ...span(now, CERTIFICATE_DAYS),
    publicKey: keys.publicKey,
    signingKey: await readKey(authority.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([USES[use]]),
      new SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: 'dns', value }) as const),
        ...addresses.map((value) => ({ type: 'ip', value }) as const),
      ]),
    ],
  });
  return { cert: `${cert.toString('pem')}\n`, key: await keyPem(keys.privateKey) };
}

/** At two thirds of its life, for another subject or use, or when another authority signed it (one of the same name, too), it is made anew. */
export function isDue(cert: string, authority: string, subject: Subject, now: number): boolean {
  try {
    const { notBefore, notAfter } = new X509Certificate(cert);
    const given = new NodeCertificate(cert);
    const age = now - notBefore.getTime();
    const signed = given.verify(new NodeCertificate(authority).publicKey);
    return !signed || !isFor(given, subject) || age > ((notAfter.getTime() - notBefore.getTime()) * 2) / 3;
  } catch {
    return true;
  }
}

const distinguishedName = ({ names, commonName = names[0] }: Subject): string => `CN=${commonName}`;

const isFor = (given: NodeCertificate, subject: Subject): boolean => {
  const { names, addresses = [], use } = subject;
  return (
    given.subject === distinguishedName(subject) &&
    given.subjectAltName ===
      [...names.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP Address:${address}`)].join(', ') &&
    given.keyUsage?.join() === USES[use]
  );
};

/** As a Secret of type kubernetes.io/tls names them. */
export const pairFiles = ({ cert, key }: KeyPair): Readonly<Record<'tls.crt' | 'tls.key', Buffer>> => ({
  'tls.crt': Buffer.from(cert),
  'tls.key': Buffer.from(key),
});

/** The certificate that a Secret holds while it serves, else a new one. */
export async function certificateFiles(
  held: Readonly<Record<string, Buffer>>,
  authority: KeyPair,
  subject: Subject,
  now: number,
): Promise<Readonly<Record<'tls.crt' | 'tls.key', Buffer>>> {
  const { 'tls.crt': cert, 'tls.key': key } = held;
  if (cert && key && !isDue(cert.toString(), authority.cert, subject, now)) return { 'tls.crt': cert, 'tls.key': key };
  return pairFiles(await makeCertificate(authority, subject, now));
}
