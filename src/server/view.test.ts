import { expect, jest, test } from '@jest/globals';
import { aSnapshot } from '../../test/builders/farm.ts';
import { createFakeFarmData } from '../../test/fakes/farmdata.ts';
import type { FarmAnswer, FarmData, FarmDataFault } from '../farm/data.ts';
import type { FarmSnapshot } from '../farm/model.ts';
import { ok } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { FarmView } from './view.ts';

const contents = (name: string) => ({
  snapshot: aSnapshot({ farm: { ...aSnapshot().farm, name } }),
  devices: [],
  sessions: [],
});
const away: FarmDataFault = { code: 'Unreachable', message: 'away' };

test('nothing until the source was whole once; then the last snapshot, whatever becomes of the source', async () => {
  const data = createFakeFarmData();
  const view = new FarmView(data, silentLogger);
  await view.read();
  expect([view.snapshot, view.fault?.code]).toEqual([undefined, 'NotLoaded']);
  data.load(contents('one'));
  await view.read();
  expect([view.snapshot?.farm.name, view.fault]).toEqual(['one', undefined]);
  data.breakWith(away);
  await view.read();
  expect([view.snapshot?.farm.name, view.fault]).toEqual(['one', away]);
  view.close();
});

test('listeners hear each snapshot that was read, and no fault', async () => {
  const data = createFakeFarmData();
  const view = new FarmView(data, silentLogger);
  const heard = jest.fn<(name: string) => void>();
  view.onSnapshot(({ farm }) => heard(farm.name));
  await view.read();
  expect(heard).not.toHaveBeenCalled();
  data.load(contents('one'));
  await view.read();
  expect(new Set(heard.mock.calls.flat())).toEqual(new Set(['one']));
  data.breakWith(away);
  heard.mockClear();
  await view.read();
  view.close();
  data.load(contents('two'));
  await new Promise(setImmediate);
  expect(view.snapshot?.farm.name).toBe('one');
  await view.read();
  expect(heard).not.toHaveBeenCalled();
});

test('changes during a read cost one more read, which sees the last of them', async () => {
  const answers: ((name: string) => void)[] = [];
  const snapshot = (): FarmAnswer<FarmSnapshot> =>
    new Promise((resolve) => answers.push((name) => resolve(ok(contents(name).snapshot))));
  const data: FarmData = { ...createFakeFarmData(), snapshot };
  const view = new FarmView(data, silentLogger);
  const first = view.read();
  void view.read();
  void view.read();
  expect(answers).toHaveLength(1);
  answers[0]?.('old');
  await first;
  expect(answers).toHaveLength(2);
  const second = view.read();
  answers[1]?.('new');
  await second;
  expect(view.snapshot?.farm.name).toBe('new');
  answers[2]?.('newest');
  view.close();
});
