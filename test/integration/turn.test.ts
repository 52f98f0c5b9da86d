/** The embedded database while its owner's password and its authority turn: a real PostgreSQL that is made and served from the Secret it has. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect, type DatabaseAccess } from '../../src/database/connection.ts';
import { ensureServerAccess, logsIn } from '../../src/database/roles.ts';
import { fail } from '../../src/kit/result.ts';
import type { KubeObject, Target } from '../../src/kube/object.ts';
import type { Infrastructure } from '../../src/operator/infrastructure.ts';
import { whoLacks } from '../../src/operator/takeup.ts';
import type { Context } from '../../src/reconcile/context.ts';
import { ensureInfrastructure, type Seen } from '../../src/reconcile/farm/infrastructure.ts';
import { DATABASE_PORT, INIT_DATABASE } from '../../src/reconcile/farm/objects.ts';
import { ROTATE_CA_ANNOTATION, ROTATE_PASSWORDS_ANNOTATION } from '../../src/reconcile/farm/turn.ts';
import { decodeData } from '../../src/reconcile/secrets.ts';
import { aFarm } from '../builders/resources.ts';
import { must } from '../fakes/farm.ts';
import { FakeKube } from '../fakes/kube.ts';
import { mountSecret } from '../fakes/mount.ts';
import { servePostgres } from '../setup/services.ts';
import { until } from '../setup/time.ts';

/** Its Service has the port that a farm's database has, whatever port the process got. */
const SERVICE = '127.0.9.1';
const folder = mkdtempSync(join(tmpdir(), 'bootfarm-turn-'));
const kube = new FakeKube();
kube.clusterIP = SERVICE;
let postgres: Awaited<ReturnType<typeof servePostgres>>;
let service: Server;
let gid = 0;

const held = (): Record<string, string> => {
  const secret = kube.objects.get('Secret ns/lab-database');
  return Object.fromEntries(
    Object.entries(secret ? decodeData(secret) : {}).map(([key, bytes]) => [key, bytes.toString()]),
  );
};
const mount = (): void => {
  const { password = '', 'tls.crt': cert = '', 'tls.key': key = '' } = held();
  mountSecret(join(folder, 'secret'), { password, 'tls.crt': cert, 'tls.key': key }, gid);
};
const look = async (annotations: Record<string, string>, takeUp?: Seen['takeUp'], client = kube.client) => {
  const farm = aFarm({ metadata: { name: 'lab', namespace: 'ns', uid: '1', annotations } });
  const settings = { image: 'bootfarm:1', release: '1', allowedHostPaths: [], allowedImages: [] };
  const context = { client, settings } as unknown as Context;
  return ensureInfrastructure(
    context,
    farm,
    farm as unknown as KubeObject,
    { servers: [], takeUp },
    new AbortController().signal,
  );
};
const seen = ({ turns }: Infrastructure): Seen['takeUp'] => ({ of: turns, lacking: [] });
/** Of a database that has no processor for a moment nothing is known yet. */
const tried = (access: DatabaseAccess): Promise<string> =>
  until('the database answers', async () => {
    const answer = await logsIn(access);
    return answer.ok ? 'in' : answer.error.code !== 'TimedOut' && answer.error.code;
  });

beforeAll(async () => {
  const ids = ['-u', '-g'].map((flag) => execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim());
  gid = Number(ids[1]);
  mkdirSync(join(folder, 'data'));
  execFileSync('chown', ['-R', ids.join(':'), folder]);
  chmodSync(folder, 0o755);
  must(await look({}));
  mount();
  const identity = [`--reuid=${ids[0]}`, `--regid=${ids[1]}`, '--clear-groups'];
  const script = INIT_DATABASE.replaceAll('/data', join(folder, 'data')).replaceAll('/secret', join(folder, 'secret'));
  const env = { PATH: '/usr/lib/postgresql/15/bin:/usr/bin:/bin' };
  execFileSync('setpriv', [...identity, 'sh', '-c', script], { cwd: folder, env, stdio: 'pipe' });
  postgres = await servePostgres(join(folder, 'data/pg'), join(folder, 'secret'), identity);
  service = createServer((from) => {
    const to = dial(postgres.port, '127.0.0.1');
    from.pipe(to).pipe(from);
    for (const [end, other] of [
      [from, to],
      [to, from],
    ] as const)
      end.on('error', () => other.destroy());
  });
  service.listen(DATABASE_PORT, SERVICE);
});
afterAll(async () => {
  service?.close();
  await postgres?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the owner’s password: an operator that dies between the change and its Secret leaves nobody outside', async () => {
  const asked = { [ROTATE_PASSWORDS_ANNOTATION]: 'r1' };
  const { inputs: first } = must(await look(asked));
  expect(await tried(first.database)).toBe('in');

  // The database takes the new password, and the Secret is not written.
  const patch = async (target: Target, ...rest: unknown[]) =>
    target.name === 'lab-database'
      ? fail('Unreachable', 'it died')
      : Reflect.apply(kube.client.patch, kube.client, [target, ...rest]);
  const dying = { ...kube.client, patch } as unknown as typeof kube.client;
  expect((await look(asked, seen(first), dying)).ok).toBe(false);
  expect(await tried(first.database)).toBe('AuthenticationFailed');

  const { inputs: second } = must(await look(asked));
  expect([second.turns, await tried(second.database)]).toEqual([first.turns, 'in']);
  const { inputs: third } = must(await look(asked, seen(second)));
  expect([held()['password-next'], await tried(third.database)]).toEqual([undefined, 'in']);
  expect(held()['role-former']).toBe('1');
  const { inputs: last } = must(await look(asked, seen(third)));
  expect(last.serverLogins).toMatchObject({ current: { turn: '2' }, isAlone: true });
  const database = must(connect(last.database));
  expect(must(await ensureServerAccess(database, { ...last.database, ...last.serverLogins.current })).uri).toBe(
    last.serverUri,
  );
  await database.close();
});

test('the authority: the old one is believed until PostgreSQL shows a certificate of the new one', async () => {
  const asked = { [ROTATE_CA_ANNOTATION]: 'r1' };
  const { inputs: first } = must(await look(asked));
  const { inputs: second } = must(await look(asked, seen(first)));
  const lacks = async () =>
    (await whoLacks(second, { uri: second.serverUri ?? '' }, new Map(), [])).includes('the database');
  expect([await tried(second.database), await lacks()]).toEqual(['in', true]);
  mount();
  await until('it shows the new one', async () => !(await lacks()), 20_000);
  const { inputs: last } = must(await look(asked, seen(second)));
  expect([await tried(last.database), await tried({ ...last.database, ca: first.authority.signer.cert })]).toEqual([
    'in',
    expect.not.stringMatching('in'),
  ]);
});
