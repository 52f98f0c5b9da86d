/** One device: what it is and streams, why it does not boot, and its last boots; its edit. */
import { useEffect, useState } from 'preact/hooks';
import { ask, askJson, Refused } from '../ask.ts';
import { type DeviceFields, fieldsOf, patchOf } from '../deviceform.ts';
import type { FarmData } from '../farmdata.ts';
import { Refusal, useSending } from '../form.tsx';
import { useLooks } from '../looks.ts';
import { type Machine, stateOf } from '../machine.ts';
import { Mark } from '../marks.tsx';
import { Empty, Listed, now, Old, Problem, Since, State } from '../parts.tsx';
import { go, linkTo, place } from '../place.ts';
import type { Device, Explanation } from '../shapes.ts';
import { Boots, Sentences } from './boots.tsx';
import { DeviceForm } from './deviceedit.tsx';
import { MACHINE_MARKS } from './devices.tsx';

export function DevicePage({ data, name }: { readonly data: FarmData; readonly name: string }) {
  const machine = data.machines.value.items.get(name);
  const isEdit = place.value?.rest[1] === 'edit';
  const [turn, setTurn] = useState(0);
  return (
    <>
      <p class="path">
        <a href={linkTo('devices')}>All devices</a>
        {isEdit && (
          <>
            {' › '}
            <a href={linkTo('devices', [name])}>{name}</a>
          </>
        )}
      </p>
      <Listed view={data.machines.value} empty={null}>
        {!machine && (
          <Empty title={data.machines.value.state === 'all' ? `The farm has no device ${name}.` : 'Reading devices…'} />
        )}
        {machine &&
          (isEdit ? (
            <Edit key={turn} data={data} name={name} onAgain={() => setTurn(turn + 1)} />
          ) : (
            <One data={data} machine={machine} />
          ))}
      </Listed>
    </>
  );
}

function One({ data, machine }: { readonly data: FarmData; readonly machine: Machine }) {
  return (
    <>
      <Facts data={data} machine={machine} />
      <Why data={data} machine={machine} />
    </>
  );
}

function Facts({ data, machine }: { readonly data: FarmData; readonly machine: Machine }) {
  const { device, session } = machine;
  const state = stateOf(machine, now.value);
  const { refused, isBusy, send } = useSending();
  const change = (enabled: boolean): Promise<boolean> =>
    send(() => ask(pathOf(data, device.name), { method: 'PATCH', body: { enabled } }));
  return (
    <section aria-labelledby="device">
      <h2 id="device">Device {device.name}</h2>
      <p>
        <State mark={MACHINE_MARKS[state]}>{state}</State> {session && <Since ms={session.since} />}
      </p>
      <DeviceFacts machine={machine} />
      <p class="actions">
        <a class="button" href={linkTo('devices', [device.name, 'edit'])}>
          Edit
        </a>
        <button type="button" disabled={isBusy} onClick={() => void change(!device.enabled)}>
          {device.enabled ? 'Disable' : 'Enable'}
        </button>
      </p>
      <Refusal of={refused} />
    </section>
  );
}

const pathOf = (data: FarmData, name: string): string => data.path(`/devices/${encodeURIComponent(name)}`);

function DeviceFacts({ machine: { device, session } }: { readonly machine: Machine }) {
  const properties = Object.entries(device.properties);
  return (
    <dl class="facts">
      {session && (
        <div>
          <dt>Streams</dt>
          <dd>
            <a href={linkTo('vdisks', [session.vdisk])}>{session.vdisk}</a>, version {session.version}, from{' '}
            {session.server}
          </dd>
        </div>
      )}
      <div>
        <dt>MACs</dt>
        <dd>
          {device.macs.map((mac) => (
            <code key={mac}>{mac} </code>
          ))}
        </dd>
      </div>
      <div>
        <dt>Collection</dt>
        <dd>
          <a href={linkTo('devices', [], { collection: device.collection })}>{device.collection}</a>
          {device.site && <span class="quiet"> of site {device.site}</span>}
        </dd>
      </div>
      <div>
        <dt>Class</dt>
        <dd>{device.class ?? <span class="quiet">that of its collection</span>}</dd>
      </div>
      {device.uuid && (
        <div>
          <dt>UUID</dt>
          <dd>
            <code>{device.uuid}</code>
            {device.uuidSharedWith && (
              <span class="quiet"> seen at {device.uuidSharedWith}, too: it is known by its MACs alone</span>
            )}
          </dd>
        </div>
      )}
      <div>
        <dt>Properties</dt>
        <dd>
          {properties.length === 0 ? (
            <span class="quiet">none</span>
          ) : (
            properties.map(([key, value]) => `${key}=${value}`).join(', ')
          )}
        </dd>
      </div>
    </dl>
  );
}

/** A machine that is on its way is asked about more often than one that streams. */
const LOOK_MS = { moving: 2_000, standing: 15_000 } as const;

function Why({ data, machine }: { readonly data: FarmData; readonly machine: Machine }) {
  const { name } = machine.device;
  const [told, setTold] = useState<{ readonly is?: Explanation; readonly problem?: string }>({});
  const look = async (signal: AbortSignal): Promise<boolean> => {
    try {
      const is = await askJson<Explanation>(`${pathOf(data, name)}/explain`, { signal });
      setTold({ is });
      return is.verdict.code !== 'Running';
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      if (!signal.aborted) setTold((before) => ({ ...before, problem }));
      return !(thrown instanceof Refused && thrown.status === 403);
    }
  };
  useLooks(data, look, LOOK_MS, [name, machine.session?.epoch]);
  const { is, problem } = told;
  return (
    <>
      <section aria-labelledby="why">
        <h2 id="why">{machine.session ? 'How it booted' : 'Why it does not boot'}</h2>
        {problem !== undefined && <Problem>{problem}</Problem>}
        {!is && problem === undefined && <p class="loading">Asking its servers…</p>}
        {is && (
          <>
            <Old stale={is.stale} />
            <p class={`verdict verdict-${is.verdict.code === 'Running' ? 'good' : 'worse'}`}>
              <Mark name={is.verdict.code === 'Running' ? 'good' : 'worse'} />
              <span>
                {is.verdict.message}
                {is.verdict.todo !== '' && <span class="todo"> {is.verdict.todo}</span>}
              </span>
            </p>
            <Sentences of={is.sentences} />
            {is.silent.map(({ server, message }) => (
              <p key={server} class="note">
                <Mark name="worse" /> {server} was asked and did not answer: {message}
              </p>
            ))}
          </>
        )}
      </section>
      {is && <Boots boots={is.boots} />}
    </>
  );
}

/** As it was when its form was opened: what somebody else changed meanwhile is not written over. */
function Edit({
  data,
  name,
  onAgain,
}: {
  readonly data: FarmData;
  readonly name: string;
  readonly onAgain: () => void;
}) {
  const [opened, setOpened] = useState<{ readonly fields: DeviceFields; readonly tag: string } | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const sending = useSending();
  useEffect(() => {
    const ended = new AbortController();
    ask(pathOf(data, name), { signal: ended.signal })
      .then(async (response) => {
        const device = (await response.json()) as Device;
        setOpened({ fields: fieldsOf(device), tag: response.headers.get('etag') ?? '' });
      })
      .catch((thrown: unknown) => {
        if (!ended.signal.aborted) setProblem(thrown instanceof Error ? thrown.message : String(thrown));
      });
    return () => ended.abort();
  }, [data, name]);
  if (problem !== undefined) return <Problem>{problem}</Problem>;
  if (!opened) return <p class="loading">Reading {name}…</p>;
  const headers = opened.tag === '' ? {} : { 'if-match': opened.tag };
  const save = async (fields: DeviceFields): Promise<void> => {
    const body = patchOf(opened.fields, fields);
    const done = await sending.send(
      async () => Object.keys(body).length > 0 && ask(pathOf(data, name), { method: 'PATCH', body, headers }),
    );
    if (done) go(linkTo('devices', [name]));
  };
  const remove = async (): Promise<void> => {
    const done = await sending.send(() => ask(pathOf(data, name), { method: 'DELETE', headers }));
    if (done) go(linkTo('devices'));
  };
  return (
    <section aria-labelledby="edit">
      <h2 id="edit">Edit device {name}</h2>
      {sending.refused?.status === 412 && (
        <p>
          <button type="button" onClick={onAgain}>
            Read it again
          </button>
        </p>
      )}
      <DeviceForm data={data} start={opened.fields} sending={sending} onSave={save} onRemove={remove} />
    </section>
  );
}
