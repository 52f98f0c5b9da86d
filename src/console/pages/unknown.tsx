/** Machines that asked to boot and are no device: one click makes them one. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { ask, askJson } from '../ask.ts';
import type { FarmData } from '../farmdata.ts';
import { Refusal, useSending } from '../form.tsx';
import { Mark } from '../marks.tsx';
import { Empty, Old, Problem, Scroll, Time } from '../parts.tsx';
import type { NewOfUnknown, Unknown, UnknownMachine } from '../shapes.ts';
import { counted } from '../words.ts';

const LOOK_MS = 5_000;

export function UnknownPage({ data }: { readonly data: FarmData }) {
  const [told, setTold] = useState<Unknown | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [collection, setCollection] = useState('');
  const link = data.link.value.state;
  const read = useCallback(async (): Promise<void> => {
    try {
      setTold(await askJson<Unknown>(data.path('/unknown'), { query: { limit: 500 } }));
      setProblem(undefined);
    } catch (thrown) {
      setProblem(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }, [data]);
  useEffect(() => {
    if (link !== 'live') return undefined;
    void read();
    const timer = setInterval(() => void read(), LOOK_MS);
    return () => clearInterval(timer);
  }, [read, link]);
  const collections = data.farm.value?.collections.map(({ name }) => name) ?? [];
  const chosen = collection === '' ? (collections[0] ?? '') : collection;
  return (
    <>
      {problem !== undefined && <Problem again={() => void read()}>{problem}</Problem>}
      {!told && problem === undefined && <p class="loading">Asking all servers…</p>}
      {told && <Old stale={told.stale} />}
      {told && told.silent.length > 0 && (
        <p class="note">
          <Mark name="worse" /> Not heard of: {told.silent.map(({ server }) => server).join(', ')} did not answer.
        </p>
      )}
      {told && told.items.length === 0 && (
        <Empty title="No unknown machine asked to boot lately.">
          Switch one on: it appears here within seconds, where its network card reaches a server. A machine that the
          farm does not know gets not one packet.
        </Empty>
      )}
      {told && told.items.length > 0 && (
        <>
          <div class="filters">
            <label>
              Add to collection{' '}
              <select value={chosen} onChange={({ currentTarget }) => setCollection(currentTarget.value)}>
                {collections.map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            </label>
            <p class="found" role="status">
              {counted(told.items.length + told.more, 'machine')}
            </p>
          </div>
          <Scroll label="Unknown machines">
            <table>
              <thead>
                <tr>
                  <th scope="col">MAC</th>
                  <th scope="col">Name and add</th>
                  <th scope="col">How far it came</th>
                  <th scope="col">Heard last</th>
                  <th scope="col">First</th>
                  <th scope="col">Firmware</th>
                  <th scope="col">Heard by</th>
                </tr>
              </thead>
              <tbody>
                {told.items.map((machine) => (
                  <Row key={machine.mac} data={data} machine={machine} collection={chosen} onAdded={read} />
                ))}
              </tbody>
            </table>
          </Scroll>
        </>
      )}
    </>
  );
}

/** Of option 93 (RFC 4578). */
const firmware = (architecture: number | undefined): string =>
  architecture === undefined
    ? 'not said'
    : architecture === 0
      ? 'BIOS'
      : [7, 9].includes(architecture)
        ? 'UEFI, 64 bits'
        : `type ${architecture}`;

function Row({
  data,
  machine,
  collection,
  onAdded,
}: {
  readonly data: FarmData;
  readonly machine: UnknownMachine;
  readonly collection: string;
  readonly onAdded: () => Promise<void>;
}) {
  const [name, setName] = useState(`pc-${machine.mac.replaceAll(':', '').slice(6)}`);
  const { refused, isBusy, send } = useSending();
  const add = async (): Promise<void> => {
    const body: NewOfUnknown = { name, collection };
    const done = await send(() =>
      ask(data.path(`/unknown/${encodeURIComponent(machine.mac)}`), { method: 'POST', body }),
    );
    if (done) await onAdded();
  };
  return (
    <tr>
      <th scope="row">
        <code>{machine.mac}</code>
      </th>
      <td>
        <form
          class="actions"
          onSubmit={(event) => {
            event.preventDefault();
            void add();
          }}
        >
          <input
            aria-label={`Name of ${machine.mac}`}
            size={14}
            required
            maxLength={63}
            value={name}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
          <button type="submit" disabled={isBusy || collection === ''}>
            Add
          </button>
        </form>
        <Refusal of={refused} />
      </td>
      <td class="prose">
        {machine.step}
        {machine.reason && <span class="cell-message">{machine.reason.message}</span>}
      </td>
      <td>
        <Time ms={machine.lastAt} />
      </td>
      <td>
        <Time ms={machine.firstAt} />
      </td>
      <td>{firmware(machine.architecture)}</td>
      <td>
        {machine.servers.join(', ')}
        {machine.relay && <span class="quiet"> behind {machine.relay}</span>}
      </td>
    </tr>
  );
}
