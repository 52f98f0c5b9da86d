/** vDisks: all of them, and of one the replication matrix, its versions, and who boots what. */
import { useEffect, useState } from 'preact/hooks';
import { inUnits } from '../../kit/units.ts';
import { all } from '../ask.ts';
import type { FarmData } from '../farmdata.ts';
import { useLooks } from '../looks.ts';
import { streamed } from '../machine.ts';
import { isMark, Mark, type MarkName } from '../marks.tsx';
import { Conditions, Empty, Listed, now, Old, Problem, Scroll, State, Time } from '../parts.tsx';
import { linkTo, place, setQuery } from '../place.ts';
import type { Copy, Stale, VDisk, Version } from '../shapes.ts';
import { counted, inNumber, lasting } from '../words.ts';

export function VDisksPage({ data }: { readonly data: FarmData }) {
  const [name] = place.value?.rest ?? [];
  if (name === undefined) return <AllVDisks data={data} />;
  const vdisk = data.vdisks.value.items.get(name);
  return (
    <>
      <p class="path">
        <a href={linkTo('vdisks')}>All vDisks</a>
      </p>
      <Listed view={data.vdisks.value} empty={null}>
        {vdisk ? (
          <OneVDisk data={data} vdisk={vdisk} />
        ) : (
          <Empty title={`The farm has no vDisk ${name}.`}>It may have been deleted.</Empty>
        )}
      </Listed>
    </>
  );
}

function AllVDisks({ data }: { readonly data: FarmData }) {
  const search = place.value?.query['search'] ?? '';
  const vdisks = [...data.vdisks.value.items.values()]
    .filter(({ name }) => name.includes(search))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return (
    <Listed
      view={data.vdisks.value}
      empty={
        <Empty title="The farm has no vDisk yet.">
          Put an image into a store and make a VDisk that names it: README, “Install on a cluster”; a disk of another
          program comes in by bootfarm vdisk import.
        </Empty>
      }
    >
      <search>
        <form class="filters" onSubmit={(event) => event.preventDefault()}>
          <label>
            Search{' '}
            <input
              type="search"
              value={search}
              onInput={({ currentTarget }) => setQuery({ search: currentTarget.value })}
            />
          </label>
          <p class="found" role="status">
            {counted(vdisks.length, 'vDisk')}
          </p>
        </form>
      </search>
      <Scroll label="vDisks">
        <table>
          <thead>
            <tr>
              <th scope="col">vDisk</th>
              <th scope="col">Copies</th>
              <th scope="col" class="number">
                Boots version
              </th>
              <th scope="col" class="number">
                Versions
              </th>
              <th scope="col" class="number">
                Devices
              </th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col">Store</th>
              <th scope="col">What it says</th>
            </tr>
          </thead>
          <tbody>
            {vdisks.map((vdisk) => (
              <VDiskRow key={vdisk.name} vdisk={vdisk} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </Listed>
  );
}

/** The first thing that it says which is not well. */
function stateOf({ conditions, enabled }: VDisk): { readonly mark: MarkName; readonly text: string } {
  const of = (type: string) => conditions.find((condition) => condition.type === type);
  const [ready, stalled, degraded, replicated, reconciling] = [
    'Ready',
    'Stalled',
    'Degraded',
    'Replicated',
    'Reconciling',
  ].map(of);
  if (!enabled) return { mark: 'disabled', text: 'disabled: nobody boots it' };
  if (stalled?.status === 'True') return { mark: 'broken', text: stalled.message };
  if (ready?.status === 'False') return { mark: 'broken', text: ready.message };
  if (degraded?.status === 'True') return { mark: 'worse', text: degraded.message };
  if (replicated?.status === 'False') return { mark: 'worse', text: replicated.message };
  if (reconciling?.status === 'True') return { mark: 'working', text: reconciling.message };
  return ready ? { mark: 'good', text: ready.message } : { mark: 'unknown', text: 'not looked at yet' };
}

function VDiskRow({ vdisk }: { readonly vdisk: VDisk }) {
  const { mark, text } = stateOf(vdisk);
  return (
    <tr>
      <th scope="row">
        <a href={linkTo('vdisks', [vdisk.name])}>{vdisk.name}</a>
      </th>
      <td>
        <State mark={mark}>{vdisk.upToDate ?? 'none yet'}</State>
      </td>
      <td class="number">{vdisk.bootVersion ?? <span class="quiet">none</span>}</td>
      <td class="number">{vdisk.versions.length}</td>
      <td class="number">{inNumber(vdisk.devices)}</td>
      <td class="number">{vdisk.sizeBytes === undefined ? '' : inUnits(vdisk.sizeBytes)}</td>
      <td>{vdisk.store}</td>
      <td class="prose">{text}</td>
    </tr>
  );
}

function OneVDisk({ data, vdisk }: { readonly data: FarmData; readonly vdisk: VDisk }) {
  const { mark, text } = stateOf(vdisk);
  const copies = useCopies(data, vdisk);
  return (
    <>
      <h2>
        vDisk {vdisk.name}{' '}
        <small>
          {vdisk.fileName} in store {vdisk.store}
          {vdisk.sizeBytes !== undefined && `, ${inUnits(vdisk.sizeBytes)}`}
        </small>
      </h2>
      <p>
        <State mark={mark}>{text}</State>
      </p>
      {vdisk.override && (
        <p class="note">
          <Mark name="note" /> Rolled back: Production devices boot version {vdisk.override.version}.
        </p>
      )}
      <section aria-labelledby="matrix">
        <h3 id="matrix">Replication</h3>
        {copies.problem !== undefined && <Problem>{copies.problem}</Problem>}
        <Old stale={copies.stale} />
        {copies.items && <Matrix vdisk={vdisk} copies={copies.items} isOld={copies.stale !== undefined} />}
      </section>
      <section aria-labelledby="versions">
        <h3 id="versions">Versions</h3>
        <Versions vdisk={vdisk} />
      </section>
      <Boots data={data} vdisk={vdisk} />
      <Work vdisk={vdisk} />
      <section aria-labelledby="said">
        <h3 id="said">Conditions</h3>
        <Conditions of={vdisk.conditions} />
      </section>
    </>
  );
}

interface Copies {
  readonly items?: readonly Copy[];
  readonly stale?: Stale | undefined;
  readonly problem?: string;
}

/** What moves is asked for again, until it stands. */
const LOOK_MS = { moving: 1_500, standing: 15_000 } as const;

/** Copies are no part of the stream of changes: they are read when their vDisk, or the link, changed, and while one is under way. */
function useCopies(data: FarmData, vdisk: VDisk): Copies {
  const [copies, setCopies] = useState<Copies>({});
  const look = async (signal: AbortSignal): Promise<boolean> => {
    try {
      const found = await all<Copy>(data.path(`/vdisks/${encodeURIComponent(vdisk.name)}/copies`), signal);
      setCopies(found);
      return found.items.some(({ state }) => state === 'Copying');
    } catch (thrown) {
      if (!signal.aborted)
        setCopies((before) => ({ ...before, problem: thrown instanceof Error ? thrown.message : String(thrown) }));
      return false;
    }
  };
  useLooks(data, look, LOOK_MS, [vdisk]);
  return copies;
}

const STATES: Readonly<Record<string, readonly [words: string, means: string]>> = {
  UpToDate: ['Up to date', 'the right content and properties'],
  Copying: ['Copying', 'being taken from another server'],
  Missing: ['Missing', 'not there yet'],
  OutOfDate: ['Out of date', 'another content than the right one'],
  PropertiesMissing: ['No properties', 'the content is right, its .pvp is missing'],
  PropertiesOutOfDate: ['Old properties', 'the content is right, its .pvp is an older one'],
  ServerUnreachable: ['No answer', 'its server does not answer'],
  Corrupt: ['Corrupt', 'its content changed, though nobody wrote it'],
  Conflict: ['Conflict', 'servers differ, and nothing says who is right'],
};

function Matrix({
  vdisk,
  copies,
  isOld,
}: {
  readonly vdisk: VDisk;
  readonly copies: readonly Copy[];
  readonly isOld: boolean;
}) {
  if (copies.length === 0)
    return (
      <Empty title="No server has a copy, or should have one, yet.">
        Copies appear once a server of the store reports its files.
      </Empty>
    );
  const servers = [...new Set(copies.map(({ server }) => server))].sort();
  const numbers = [
    ...new Set([...vdisk.versions.map(({ number }) => number), ...copies.map(({ version }) => version)]),
  ].sort((a, b) => b - a);
  const found = new Map(copies.map((copy) => [`${copy.server} ${copy.version}`, copy]));
  const present = Object.entries(STATES).filter(([state]) => copies.some((copy) => copy.state === state));
  return (
    <div class={isOld ? 'is-old' : undefined}>
      <Scroll label={`Copies of ${vdisk.name} by server and version`}>
        <table class="matrix">
          <thead>
            <tr>
              <th scope="col">Server</th>
              {numbers.map((number) => (
                <th scope="col" key={number}>
                  {number === 0 ? 'Base' : `Version ${number}`}
                  {number === vdisk.bootVersion && <span class="tag">boots</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {servers.map((server) => (
              <tr key={server}>
                <th scope="row">{server}</th>
                {numbers.map((number) => (
                  <td key={number}>
                    <Cell copy={found.get(`${server} ${number}`)} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <ul class="legend" aria-label="What the states mean">
        {present.map(([state, [words, means]]) => (
          <li key={state}>
            <State mark={isMark(state) ? state : 'unknown'}>{words}</State>: {means}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Cell({ copy }: { readonly copy: Copy | undefined }) {
  if (!copy) return <span class="quiet">none wanted</span>;
  const { state, progressPercent, secondsLeft, reportedAt, message } = copy;
  const [words] = STATES[state] ?? [state];
  const left =
    secondsLeft === undefined ? undefined : Math.max(0, secondsLeft * 1_000 - (now.value - reportedAt * 1_000));
  return (
    <div class="cell" title={message === '' ? undefined : message}>
      <State mark={isMark(state) ? state : 'unknown'}>{words}</State>
      {state === 'Copying' && progressPercent !== undefined && (
        <span class="progress">
          <progress max={100} value={progressPercent} aria-label={`Version ${copy.version} on ${copy.server}`} />{' '}
          {progressPercent} %{left !== undefined && <span class="quiet"> {lasting(left)} left</span>}
        </span>
      )}
      {message !== '' && <span class="cell-message">{message}</span>}
    </div>
  );
}

const VERSION_WORDS: Readonly<Record<string, readonly [MarkName, string]>> = {
  Default: ['good', 'Production devices boot it'],
  Override: ['note', 'Production devices boot it, by a rollback'],
  Pending: ['working', 'becomes the default by itself'],
  Production: ['off', 'for Production'],
  Test: ['off', 'for Test devices'],
  Maintenance: ['off', 'for Maintenance devices'],
};

function Versions({ vdisk: { versions } }: { readonly vdisk: VDisk }) {
  if (versions.length === 0)
    return (
      <Empty title="It has no version yet.">
        The base is version 0: it appears once its file lies in the store of a server.
      </Empty>
    );
  return (
    <Scroll label="Versions">
      <table>
        <thead>
          <tr>
            <th scope="col" class="number">
              Version
            </th>
            <th scope="col">Access</th>
            <th scope="col">State</th>
            <th scope="col">Released</th>
            <th scope="col">Kind</th>
            <th scope="col" class="number">
              Right copies
            </th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">Digest</th>
          </tr>
        </thead>
        <tbody>
          {versions
            .toSorted((a, b) => b.number - a.number)
            .map((version) => (
              <VersionRow key={version.number} version={version} />
            ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function VersionRow({ version }: { readonly version: Version }) {
  const {
    number,
    access,
    state = '',
    message,
    settledAt,
    releaseAt,
    type,
    upToDate,
    copies,
    sizeBytes,
    sha256,
  } = version;
  const [mark, words] = VERSION_WORDS[state] ?? ['unknown', state === '' ? 'not judged yet' : state];
  const release = Date.parse(releaseAt ?? '');
  return (
    <tr>
      <th scope="row" class="number">
        {number}
      </th>
      <td>{access}</td>
      <td>
        <State mark={mark}>{words}</State>
        {message && <span class="cell-message">{message}</span>}
      </td>
      <td>
        {release > Date.now() ? 'on ' : ''}
        {Number.isFinite(release) ? (
          <Time ms={release} />
        ) : settledAt ? (
          <Time ms={Date.parse(settledAt)} />
        ) : (
          <span class="quiet">not yet</span>
        )}
      </td>
      <td>{type}</td>
      <td class="number">
        {upToDate ?? 0} of {copies ?? 0}
      </td>
      <td class="number">{sizeBytes === undefined ? '' : inUnits(sizeBytes)}</td>
      <td>{sha256 && <code title={sha256}>{sha256.slice(0, 12)}</code>}</td>
    </tr>
  );
}

function Boots({ data, vdisk }: { readonly data: FarmData; readonly vdisk: VDisk }) {
  useEffect(() => data.wantMachines(), [data]);
  const collections = data.farm.value?.collections.filter((collection) => collection.vdisk === vdisk.name) ?? [];
  const view = data.machines.value;
  const mine = streamed(view.items).filter((entry) => entry.vdisk === vdisk.name);
  return (
    <section aria-labelledby="boots">
      <h3 id="boots">Who boots it</h3>
      <p>
        {collections.length === 0 ? 'No collection names it.' : 'Collections: '}
        {collections.map(({ name, class: access }, index) => (
          <span key={name}>
            {index > 0 && ', '}
            <a href={linkTo('devices', [], { collection: name })}>{name}</a> <span class="quiet">({access})</span>
          </span>
        ))}
      </p>
      {view.state === 'refused' ? (
        <Problem>{view.problem}</Problem>
      ) : mine.length === 0 ? (
        <Empty title={view.state === 'all' ? 'No device streams it now.' : 'Reading devices…'} />
      ) : (
        <Scroll label="Devices by version and server">
          <table>
            <thead>
              <tr>
                <th scope="col" class="number">
                  Version
                </th>
                <th scope="col">Server</th>
                <th scope="col" class="number">
                  Devices
                </th>
              </tr>
            </thead>
            <tbody>
              {mine
                .toSorted((a, b) => b.version - a.version || (a.server < b.server ? -1 : 1))
                .map(({ version, server, devices }) => (
                  <tr key={`${version} ${server}`}>
                    <th scope="row" class="number">
                      {version}
                    </th>
                    <td>{server}</td>
                    <td class="number">
                      <a href={linkTo('devices', [], { vdisk: vdisk.name, server })}>{inNumber(devices)}</a>
                    </td>
                  </tr>
                ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}

const WORK_MARKS = { Queued: 'off', Running: 'working', Done: 'good', Failed: 'worse', Cancelled: 'disabled' } as const;

function Work({ vdisk: { work, unmanaged } }: { readonly vdisk: VDisk }) {
  if (work.length === 0 && unmanaged.length === 0) return null;
  return (
    <section aria-labelledby="work">
      <h3 id="work">Work on its files</h3>
      <ul class="work">
        {work.map(({ id, server, kind, state, progressPercent, message }) => (
          <li key={`${server} ${id}`}>
            <State mark={WORK_MARKS[state]}>
              {kind} on {server}: {state}
            </State>
            {progressPercent !== undefined && state === 'Running' && (
              <span class="progress">
                <progress max={100} value={progressPercent} aria-label={`${kind} on ${server}`} /> {progressPercent} %
              </span>
            )}
            {message && <span class="cell-message">{message}</span>}
          </li>
        ))}
      </ul>
      {unmanaged.length > 0 && <p>Files that belong to no version: {unmanaged.join(', ')}</p>}
    </section>
  );
}
