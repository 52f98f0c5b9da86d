/** The arguments of the embedded PostgreSQL. Pure; checked against PostgreSQL 15. */
export function postgresArguments(folders: {
  readonly data: string;
  /** Holds `tls.crt` and `tls.key`; both are read again at SIGHUP, and connections stay. */
  readonly secrets: string;
  readonly sockets: string;
}): readonly string[] {
  const { data, secrets, sockets } = folders;
  const settings = {
    listen_addresses: '*',
    unix_socket_directories: sockets,
    ssl: 'on',
    ssl_cert_file: `${secrets}/tls.crt`,
    ssl_key_file: `${secrets}/tls.key`,
    ssl_min_protocol_version: 'TLSv1.3',
  };
  return ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}
