/**
 * What the operator tells a server: one JSON file in its Secret, mounted into its pod; everything else comes from the replica. Who writes it and who reads
 * it have this schema. They may be of two releases: what a reader does not know is passed over, and a field that is new has a default.
 */
import { type Static, Type } from 'typebox';
import { Errors, Value } from 'typebox/value';
import type { Read } from '../farm/model.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

/** Below the state directory, seen by the server and by its container `work`: jobs are that one's to write, and the others the server's. */
export const SHARED_FOLDERS = { jobs: 'work', wants: 'wants', chunks: 'chunks' } as const;

const Port = Type.Integer({ minimum: 0, maximum: 65_535 });

export const ServerConfig = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 253 }),
  farm: Type.String({ minLength: 1 }),
  /** Of the farm's keys: what is kept in the state directory is of this farm. */
  lineage: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  site: Type.String({ minLength: 1 }),
  pool: Type.String({ minLength: 1 }),
  /** At most one of these; none: the environment's NODE_ADDRESS. */
  address: Type.Optional(Type.String()),
  interface: Type.Optional(Type.String()),
  cidrs: Type.Optional(Type.Array(Type.String())),
  powerRating: Type.Number({ minimum: 0.1, maximum: 1_000 }),
  limits: Type.Object({ maxDevices: Type.Integer({ minimum: 1 }), maxBooting: Type.Integer({ minimum: 1 }) }),
  drainTimeoutSeconds: Type.Integer({ minimum: 0 }),
  storeRoots: Type.Array(Type.String()),
  stateDirectory: Type.String(),
  ports: Type.Object({
    stream: Port,
    http: Port,
    control: Port,
    telemetry: Port,
    dhcp: Port,
    pxe: Port,
    tftp: Port,
  }),
  replicaSocket: Type.String(),
  databaseUriFile: Type.String(),
  keysDirectory: Type.String(),
  tlsDirectory: Type.String(),
  logLevel: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')], {
    default: 'info',
  }),
});
export type ServerConfig = Read<Static<typeof ServerConfig>>;

export function parseConfig(text: string): Result<ServerConfig, Fault<'ConfigInvalid'>> {
  try {
    const value = Value.Default(ServerConfig, JSON.parse(text));
    if (Value.Check(ServerConfig, value)) return ok(value);
    const [first] = Errors(ServerConfig, value);
    return fail('ConfigInvalid', `${first?.instancePath || '/'} ${first?.message ?? 'is wrong'}`);
  } catch (error) {
    return fail('ConfigInvalid', errorMessage(error));
  }
}
