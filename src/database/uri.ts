/** A connection URI as libpq reads it (PostgreSQL manual, 34.1.1.2): one host, or several that are tried in turn. Pure. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export interface DatabaseHost {
  /** For `pg`, which knows one host an URI; never logged. */
  readonly uri: string;
  /** `host:port/database`, for messages. */
  readonly name: string;
}

export interface DatabasePlace {
  readonly hosts: readonly [DatabaseHost, ...DatabaseHost[]];
  /** `host:port,host:port/database`, for messages. */
  readonly name: string;
}

const SHAPE = /^(postgres(?:ql)?:\/\/)([^@/?]*@)?([^/?]*)(\/[^?]*)?(?:\?(.*))?$/;
/** More than any fail-over set has; a probe asks each of them in turn. */
const MAX_HOSTS = 16;

/** `postgresql://user:password@host:port,host:port/database?sslmode=…`; hosts and ports may also be lists in `?host=…&port=…`. */
export function parseDatabaseUri(uri: string): Result<DatabasePlace, Fault<'InvalidUri'>> {
  const found = SHAPE.exec(uri);
  if (!found) return invalid('it must look like postgresql://user:password@host:port/database');
  const [, scheme = '', user = '', authority = '', path = '', query = ''] = found;
  const parameters = new URLSearchParams(query);
  const hosts = lists(authority, parameters.get('host'), parameters.get('port'));
  if (!hosts) return invalid('it names several hosts, and neither one port for all nor one for each');
  if (hosts.length > MAX_HOSTS) return invalid(`it names ${hosts.length} hosts: ${MAX_HOSTS} are the most`);
  for (const name of ['host', 'port', 'target_session_attrs', 'load_balance_hosts']) parameters.delete(name);
  const made = hosts.map((host) => hostOf(scheme, user, host, path, parameters));
  const [first, ...others] = made.flatMap((host) => host ?? []);
  if (!first || 1 + others.length < made.length) return invalid(`${authority} holds something that is no host:port`);
  return ok({ hosts: [first, ...others], name: `${hosts.join(',') || 'localhost'}${path}` });
}

const invalid = (why: string) => fail('InvalidUri', `the database uri cannot be used: ${why}`);

/** What stands in the authority, or in `host` and `port`; undefined when their numbers do not fit. */
function lists(authority: string, host: string | null, port: string | null): readonly string[] | undefined {
  const names = (host ?? authority).split(',');
  const ports = port === null ? [] : port.split(',');
  if (ports.length > 1 && ports.length !== names.length) return undefined;
  return names.map((name, index) => {
    const one = ports[index] ?? ports[0] ?? '';
    return one === '' ? name : `${name}:${one}`;
  });
}

function hostOf(scheme: string, user: string, host: string, path: string, parameters: URLSearchParams) {
  // A folder of a UNIX socket is no host of a URL: `pg` takes it as a parameter, which wins.
  const [folder, port] = host.startsWith('/') ? host.split(':') : [];
  const query = new URLSearchParams(parameters);
  if (folder !== undefined) query.set('host', folder);
  if (port !== undefined) query.set('port', port);
  const uri = `${scheme}${user}${folder === undefined ? host : 'localhost'}${path}${query.size > 0 ? `?${query}` : ''}`;
  return URL.canParse(uri) ? { uri, name: `${host || 'localhost'}${path}` } : undefined;
}
