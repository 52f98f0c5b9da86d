/** The API of the farm, asked of each copy of the operator by itself. `test/e2e/farm.test.ts` asserts it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inNode } from '../cluster/cluster.ts';
import { runAsync } from '../cluster/run.ts';
import { type DemoFarm, OPERATOR_NAMESPACE } from './farm.ts';
import type { OwnSite } from './site.ts';

const HOST = `bootfarm-api.${OPERATOR_NAMESPACE}.svc`;
const PORT = 8443;

export interface Answer {
  readonly status: number;
  readonly body: string;
}
/** `path` is below the farm's own. */
export type Ask = (path: string, token: string, method?: 'GET' | 'DELETE') => Promise<Answer>;

export async function apiCopies(farm: DemoFarm<OwnSite>): Promise<readonly Ask[]> {
  const { site, namespace } = farm;
  const [kubectl, ...before] = site.kubectl;
  const get = ['-n', OPERATOR_NAMESPACE, 'get', 'secret', 'bootfarm-api-tls', '-o', 'jsonpath={.data.ca\\.crt}'];
  const authority = join(site.stateDirectory, 'api-ca.crt');
  writeFileSync(authority, Buffer.from(await runAsync(kubectl, ...before, ...get), 'base64'));
  return (await farm.operators()).map(
    ({ node, address }): Ask =>
      async (path, token, method = 'GET') => {
        const said = await runAsync(
          ...inNode(site.cluster, node),
          ...['curl', '--silent', '--show-error', '--max-time', '10', '--cacert', authority, '--request', method],
          ...['--connect-to', `${HOST}:${PORT}:${address}:${PORT}`, '--header', `Authorization: Bearer ${token}`],
          ...['--write-out', '\\n%{http_code}', `https://${HOST}:${PORT}/api/v1/farms/${namespace}/farm/${path}`],
        );
        const end = said.lastIndexOf('\n');
        return { status: Number(said.slice(end)), body: said.slice(0, end) };
      },
  );
}
