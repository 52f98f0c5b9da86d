/** Certificates of a test cluster, by openssl. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export function makeAuthority(folder: string): void {
  const path = (name: string): string => join(folder, name);
  run(
    'openssl',
    'req',
    '-x509',
    ...KEY,
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.crt'),
    '-days',
    '365',
    '-subj',
    '/CN=bootfarm-test',
  );
  run('openssl', 'genrsa', '-out', path('sa.key'), '2048');
  run('openssl', 'rsa', '-in', path('sa.key'), '-pubout', '-out', path('sa.pub'));
}

/** `names` as openssl writes them: `DNS:localhost,IP:10.77.0.1`. */
export function makeCertificate(folder: string, name: string, subject: string, names: string): void {
  const path = (ending: string): string => join(folder, `${name}.${ending}`);
  writeFileSync(path('ext'), `subjectAltName=${names}\n`);
  run('openssl', 'req', ...KEY, '-keyout', path('key'), '-out', path('csr'), '-subj', subject);
  const authority = ['-CA', join(folder, 'ca.crt'), '-CAkey', join(folder, 'ca.key'), '-CAcreateserial'];
  run(
    'openssl',
    'x509',
    '-req',
    '-in',
    path('csr'),
    ...authority,
    '-days',
    '365',
    '-out',
    path('crt'),
    '-extfile',
    path('ext'),
  );
}
