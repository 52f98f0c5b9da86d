/** A database that is away, or does not take the password: whether the Farm is Ready, and what is said. */
import { describe, expect, test } from '@jest/globals';
import { aFarm } from '../../../test/builders/resources.ts';
import type { ServerView } from '../../operator/poller.ts';
import type { Farm } from '../../resources/kinds.ts';
import { lostPassword } from './lost.ts';
import { type FarmFindings, farmStatus } from './status.ts';

const NOW = new Date('2026-11-23T12:00:00Z');
const identity = { farm: 'a', adoptions: 0, revision: 0 };
const streaming = { name: 'node-a', site: 'default', reachable: true, status: { state: 'Streaming' } } as ServerView;
const external = aFarm({ spec: { database: { external: { secretRef: { name: 'farm-db' } } } } });
const away = (code: 'Unreachable' | 'AuthenticationFailed'): FarmFindings['database'] => ({
  reachable: false,
  since: 0,
  fault: { code, message: 'it said no' },
});
const judged = (farm: Farm, code: 'Unreachable' | 'AuthenticationFailed', more: Partial<FarmFindings>) => {
  const findings = {
    database: away(code),
    databaseSource: 'Secret x',
    servers: [streaming],
    wanted: 1,
    devices: 0,
    ...more,
  };
  const { conditions = [] } = farmStatus(farm, findings, NOW);
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]));
};

describe('while its database', () => {
  test.each([
    ['is away, and never was there', aFarm(), 'Unreachable', {}, 'False DatabaseUnreachable', 'Reconciling'],
    ['is away', aFarm(), 'Unreachable', { identity }, 'True Settled', 'Degraded'],
    ['is away, and nobody streams', aFarm(), 'Unreachable', { identity, servers: [] }, 'False DatabaseUnreachable', ''],
    ['never took the password', aFarm(), 'AuthenticationFailed', {}, 'False DatabasePasswordLost', 'Stalled'],
    ['takes no password any more', aFarm(), 'AuthenticationFailed', { identity }, 'True Settled', 'Degraded'],
    [
      'never took the password, and a pod does not start',
      aFarm(),
      'AuthenticationFailed',
      { stuck: 'pod farm-replica-0: no node takes it' },
      'False DatabasePasswordLost',
      'Stalled',
    ],
    ['of yours never took it', external, 'AuthenticationFailed', {}, 'False DatabaseRefused', 'Reconciling'],
  ] as const)('%s', (_, farm, code, more, ready, also) => {
    const says = judged(farm, code, more);
    expect(says).toMatchObject({ Ready: ready, DatabaseReachable: expect.stringMatching(/^False /) });
    if (also) expect(Object.keys(says)).toContain(also);
    for (const type of ['Reconciling', 'Stalled', 'Degraded'].filter((type) => also && type !== also))
      expect(says).not.toHaveProperty(type);
  });

  test('the message names the data, the Secret and each way out', () => {
    const folder = aFarm({ spec: { database: { embedded: { storage: { hostPath: '/srv/database' } } } } });
    const words = lostPassword(folder, away('AuthenticationFailed')) ?? '';
    for (const word of [
      'the database in folder /srv/database was made with another password than Secret farm-database has',
      'bootfarm keys recover --farm lab/farm',
      'the data of the Secrets farm-database and farm-keys back from a backup',
      'empty the folder and delete pod farm-database-0',
    ])
      expect(words).toContain(word);
    expect(lostPassword(aFarm(), away('AuthenticationFailed'))).toContain(
      'PersistentVolumeClaim data-farm-database-0 was',
    );
  });
});
