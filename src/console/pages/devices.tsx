/** Devices: all of them in one table, found by name, MAC, collection and state. */
import { useEffect, useMemo } from 'preact/hooks';
import type { FarmData } from '../farmdata.ts';
import { MACHINE_STATES, type Machine, type MachineState, stateOf, wanted } from '../machine.ts';
import type { MarkName } from '../marks.tsx';
import { Empty, Listed, now, State, Time } from '../parts.tsx';
import { linkTo, place, setQuery } from '../place.ts';
import { type Column, Table } from '../table.tsx';
import { counted, inNumber } from '../words.ts';
import { DevicePage } from './device.tsx';
import { NewDevice } from './deviceedit.tsx';
import { ImportPage } from './import.tsx';

export const MACHINE_MARKS: Readonly<Record<MachineState, MarkName>> = {
  Streaming: 'good',
  Booting: 'working',
  Off: 'off',
  Disabled: 'disabled',
};

const COLUMNS: readonly Column<Machine>[] = [
  { name: 'Device', flex: '1.2 1 7.5rem', cell: ({ device }) => device.name },
  {
    name: 'State',
    flex: '.8 1 7.25rem',
    cell: (machine) => <MachineWord machine={machine} />,
  },
  {
    name: 'MAC',
    flex: '1 1 9.5rem',
    from: 'middle',
    cell: ({ device: { macs } }) => (
      <>
        <code>{macs[0]}</code>
        {macs.length > 1 && <span class="quiet"> +{macs.length - 1}</span>}
      </>
    ),
  },
  { name: 'Collection', flex: '1 1 6rem', cell: ({ device }) => device.collection },
  {
    name: 'Streams',
    flex: '1 1 7rem',
    from: 'middle',
    cell: ({ session }) => session && `${session.vdisk} · ${session.version}`,
  },
  { name: 'From', flex: '1 1 6rem', from: 'wide', cell: ({ session }) => session?.server },
  { name: 'Since', flex: '.7 1 5.5rem', from: 'wide', cell: ({ session }) => session && <Time ms={session.since} /> },
];

function MachineWord({ machine }: { readonly machine: Machine }) {
  const state = stateOf(machine, now.value);
  return <State mark={MACHINE_MARKS[state]}>{state}</State>;
}

export function DevicesPage({ data }: { readonly data: FarmData }) {
  useEffect(() => data.wantMachines(), [data]);
  const at = place.value;
  const [name] = at?.rest ?? [];
  // No device can be called so.
  if (name === '~new') return <NewDevice data={data} />;
  if (name === '~import') return <ImportPage data={data} />;
  if (name !== undefined) return <DevicePage data={data} name={name} key={name} />;
  return <AllDevices data={data} query={at?.query ?? {}} />;
}

/** How often those that are filtered by state are counted again. */
const STATE_MS = 5_000;

function AllDevices({ data, query }: { readonly data: FarmData; readonly query: Readonly<Record<string, string>> }) {
  const { search = '', collection = '', state = '', server = '', vdisk = '' } = query;
  const view = data.machines.value;
  const names = data.names.value;
  const turn = state === '' ? 0 : Math.floor(now.value / STATE_MS);
  const found = useMemo(
    () => wanted(view.items, names, { search, collection, state, server, vdisk }, Date.now()),
    [view, names, search, collection, state, server, vdisk, turn],
  );
  const collections = data.farm.value?.collections.map((each) => each.name) ?? [
    ...new Set([...view.items.values()].map(({ device }) => device.collection)),
  ];
  return (
    <Listed
      view={view}
      empty={
        <Empty title="The farm knows no device.">
          <a href={linkTo('devices', ['~new'])}>Add one</a>,{' '}
          <a href={linkTo('devices', ['~import'])}>import a file of them</a>, or see{' '}
          <a href={linkTo('unknown')}>who asked to boot</a> lately.
        </Empty>
      }
    >
      <search>
        <form class="filters" onSubmit={(event) => event.preventDefault()}>
          <label>
            Name or MAC{' '}
            <input
              type="search"
              value={search}
              onInput={({ currentTarget }) => setQuery({ search: currentTarget.value })}
            />
          </label>
          <Choice
            label="Collection"
            value={collection}
            of={collections}
            onChange={(chosen) => setQuery({ collection: chosen })}
          />
          <Choice label="State" value={state} of={MACHINE_STATES} onChange={(chosen) => setQuery({ state: chosen })} />
          {(server !== '' || vdisk !== '') && (
            <button type="button" onClick={() => setQuery({ server: '', vdisk: '' })}>
              Not only {[vdisk, server].filter((text) => text !== '').join(' from ')}
            </button>
          )}
          <span class="actions">
            <a class="button" href={linkTo('devices', ['~new'])}>
              Add
            </a>
            <a class="button" href={linkTo('devices', ['~import'])}>
              Import
            </a>
          </span>
          <p class="found" role="status">
            {found.length === names.length
              ? counted(names.length, 'device')
              : `${inNumber(found.length)} of ${counted(names.length, 'device')}`}
            {view.state === 'some' && ', more are being read'}
          </p>
        </form>
      </search>
      {found.length === 0 ? (
        <Empty title="No device is so.">
          <button
            type="button"
            onClick={() => setQuery({ search: '', collection: '', state: '', server: '', vdisk: '' })}
          >
            Show all
          </button>
        </Empty>
      ) : (
        <Table
          label="Devices"
          columns={COLUMNS}
          keys={found}
          itemOf={(key) => view.items.get(key)}
          linkOf={(key) => linkTo('devices', [key])}
        />
      )}
    </Listed>
  );
}

function Choice({
  label,
  value,
  of,
  all = 'all',
  onChange,
}: {
  readonly label: string;
  readonly value: string;
  readonly of: readonly string[];
  readonly all?: string;
  readonly onChange: (value: string) => void;
}) {
  return (
    <label>
      {label}{' '}
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        <option value="">{all}</option>
        {of.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}
