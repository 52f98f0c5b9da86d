import { describe, expect, test } from '@jest/globals';
import { aStreamingServer } from '../../../test/builders/resources.ts';
import { fail, ok } from '../../kit/result.ts';
import type { Target } from '../../kube/object.ts';
import type { FarmRuntime } from '../../operator/runtime.ts';
import type { Context } from '../context.ts';
import { forgetServers } from './leave.ts';

/** Servers write rows: what a row can make the operator delete. */
describe('forgetServers', () => {
  const owned = (uid: string): object => ({
    ownerReferences: [{ kind: 'StreamingServer', name: 'main', uid, controller: true }],
  });
  const secrets: Readonly<Record<string, object>> = {
    'bootfarm-server-main-node-a': owned('uid-main'),
    'bootfarm-server-main-node-b': owned('uid-main'),
    'bootfarm-server-main-node-c': owned('uid-other'),
    'bootfarm-server-main-node-d': {},
    'main-node-e': owned('uid-main'),
  };

  async function forget(
    rows: readonly { readonly name: string; readonly pool: string }[],
    kept: readonly string[] = [],
    told: readonly string[] = [],
  ) {
    const asked: string[] = [];
    const gone: string[] = [];
    const client = {
      get: async ({ name = '' }: Target) => {
        asked.push(name);
        return secrets[name] ? ok({ metadata: { name, ...secrets[name] } }) : fail('NotFound', name);
      },
      delete: async ({ name = '' }: Target) => ok(void gone.push(name)),
    };
    let unregistered = 0;
    const database = { run: async () => ok(void unregistered++) };
    const runtime = { rows: async () => ({ servers: rows }), writes: database };
    const left = await forgetServers(
      { client } as unknown as Context,
      aStreamingServer({ status: { servers: told.map((name) => ({ name, state: 'Starting' as const })) } }),
      new Set(kept),
      runtime as unknown as FarmRuntime,
      new AbortController().signal,
    );
    return { left, asked, gone, unregistered };
  }
  const row = (name: string, pool = 'main') => ({ name, pool });

  test.each([
    {
      what: 'a Secret of this pool goes',
      rows: [row('node-a')],
      gone: ['bootfarm-server-main-node-a'],
      unregistered: 1,
    },
    {
      what: 'that of a server that stays does not',
      rows: [row('node-a')],
      kept: ['node-a'],
      gone: [],
      unregistered: 0,
    },
    { what: 'that of another owner does not', rows: [row('node-c')], gone: [], unregistered: 1 },
    { what: 'that of nobody does not', rows: [row('node-d')], gone: [], unregistered: 1 },
    { what: 'a name without the prefix is never looked at', rows: [row('node-e')], gone: [], unregistered: 1 },
    { what: 'rows of another pool are not ours', rows: [row('node-a', 'other')], gone: [], unregistered: 0 },
  ])('$what', async ({ rows, kept, gone, unregistered }) => {
    expect(await forget(rows, kept)).toMatchObject({ left: undefined, gone, unregistered });
  });

  test.each([
    { what: 'never ran, so it has no row', rows: [], told: ['node-a'] },
    { what: 'is on a node that another pool has now', rows: [row('node-a', 'other')], told: ['node-a'] },
  ])('the Secret of a server goes that $what', async ({ rows, told }) => {
    expect(await forget(rows, [], told)).toMatchObject({
      left: undefined,
      gone: ['bootfarm-server-main-node-a'],
      unregistered: 0,
    });
    expect(await forget(rows, told, told)).toMatchObject({ left: undefined, gone: [] });
  });

  test.each(['../farm-keys', '', 'a/b', 'A', '-a', 'a'.repeat(254)])(
    'row %p is no node: its row goes, the API is not asked',
    async (name) => {
      expect(await forget([row(name)])).toEqual({ left: undefined, asked: [], gone: [], unregistered: 1 });
    },
  );

  test('thousands of rows hold nobody up', async () => {
    const rows = Array.from({ length: 5_000 }, (_, number) => row(`x${number}`));
    expect(await forget(rows)).toMatchObject({ left: expect.stringContaining('many'), unregistered: 100 });
  });
});
