/** Whom a connection to PostgreSQL believes: the CA beside its uri. Pure. */

/** What `pg` is given. */
export interface Secured {
  readonly connectionString: string;
  readonly ssl?: { readonly ca: string };
}

const SAID_BY_CA = /^(sslmode|sslrootcert|ssl)=/;

/**
 * With a CA the server must show a certificate of it for the host of the uri (`verify-full`), whatever less the uri asks for. Only
 * `sslmode=disable` is taken at its word: no TLS.
 */
export function secured(uri: string, ca: string | undefined): Secured {
  if (ca === undefined || isPlain(uri)) return { connectionString: uri };
  return { connectionString: withOptions(uri, []), ssl: { ca } };
}

/** The uri for a process that has the CA in a file: `pg` reads it at each connection, `psql` too. */
export const withRootFile = (uri: string, path: string): string =>
  isPlain(uri) ? uri : withOptions(uri, ['sslmode=verify-full', `sslrootcert=${path}`]);

const optionsOf = (uri: string): readonly string[] => (uri.split('?')[1] ?? '').split('&').filter(Boolean);
const isPlain = (uri: string): boolean => optionsOf(uri).includes('sslmode=disable');

function withOptions(uri: string, more: readonly string[]): string {
  const [place = ''] = uri.split('?');
  const options = [...optionsOf(uri).filter((option) => !SAID_BY_CA.test(option)), ...more];
  return options.length > 0 ? `${place}?${options.join('&')}` : place;
}
