/** How the farm is: in sentences, worst first, then its database, replica, devices over time, and sites. */
import { useMemo } from 'preact/hooks';
import { Chart } from '../chart.tsx';
import type { FarmData, Point } from '../farmdata.ts';
import { type Finding, findings, summary } from '../health.ts';
import { Mark } from '../marks.tsx';
import { Conditions, Empty, Problem, Scroll, Since, State } from '../parts.tsx';
import { linkTo } from '../place.ts';
import type { Farm, Server } from '../shapes.ts';
import { atTime, counted, inNumber, lasting } from '../words.ts';

export function FarmPage({ data }: { readonly data: FarmData }) {
  const farm = data.farm.value;
  if (!farm) {
    if (data.problem.value !== undefined) return <Problem again={() => data.again()}>{data.problem.value}</Problem>;
    return <p class="loading">Reading the farm…</p>;
  }
  const seen = {
    farm,
    servers: [...data.servers.value.items.values()],
    stores: [...data.stores.value.items.values()],
    vdisks: [...data.vdisks.value.items.values()],
    pools: [...data.pools.value.items.values()],
  };
  const found = findings(seen);
  const { severity, text } = summary(seen, found);
  return (
    <>
      <p class={`verdict verdict-${severity}`}>
        <Mark name={severity} />
        {text}
      </p>
      <section aria-labelledby="health">
        <h2 id="health">What needs you</h2>
        {found.length === 0 ? (
          <Empty title="Nothing needs you.">
            What becomes worse than wanted is said here, with what to do about it.
          </Empty>
        ) : (
          <ul class="findings">
            {found.map((finding) => (
              <Told key={`${finding.subject} ${finding.says}`} finding={finding} />
            ))}
          </ul>
        )}
      </section>
      <div class="columns">
        <DatabaseState data={data} farm={farm} />
        <ReplicaState farm={farm} />
        <Numbers farm={farm} servers={seen.servers} />
      </div>
      <Devices points={data.points.value} />
      <Sites farm={farm} servers={seen.servers} />
      <section aria-labelledby="conditions">
        <h2 id="conditions">Conditions of the Farm</h2>
        <Conditions of={farm.conditions} />
      </section>
    </>
  );
}

const WORDS = { broken: 'Broken', worse: 'Worse than wanted', working: 'Under way', note: 'Good to know' } as const;

function Told({ finding: { severity, subject, says, since, todo, page, rest } }: { readonly finding: Finding }) {
  return (
    <li class={`finding finding-${severity}`}>
      <Mark name={severity} />
      <div>
        <p class="finding-head">
          <span class="finding-word">{WORDS[severity]}</span>
          <a href={linkTo(page, rest)}>{subject}</a>
          {since !== undefined && <Since ms={since} />}
        </p>
        <p>{says}</p>
        {todo !== undefined && <p class="todo">What to do: {todo}</p>}
      </div>
    </li>
  );
}

/** The stream of changes knows it within a second, the status of the Farm within some. */
function DatabaseState({ data, farm }: { readonly data: FarmData; readonly farm: Farm }) {
  const { database } = farm;
  const live = data.database.value;
  const isAway = live ? !live.reachable : database?.state === 'Unreachable';
  const since = isAway ? Date.parse(live?.since ?? database?.offlineSince ?? '') : Number.NaN;
  const says = (isAway ? live?.reason : undefined) ?? database?.message;
  return (
    <section class="card" aria-labelledby="database">
      <h2 id="database">Farm database</h2>
      {!database && !live ? (
        <p class="quiet">Not known yet: the operator is making or looking for it.</p>
      ) : (
        <>
          <p>
            <State mark={isAway ? 'broken' : 'good'}>{isAway ? 'Away' : 'Answers'}</State>{' '}
            {Number.isFinite(since) && <Since ms={since} />}
          </p>
          {database?.kind && (
            <p class="quiet">
              {database.kind === 'Embedded' ? 'Run by the operator in this namespace' : 'Run by somebody else'}
            </p>
          )}
          {says && <p>{says}</p>}
          {isAway && <p class="todo">Machines go on, and boot by the replica. Edits wait until it is back.</p>}
        </>
      )}
    </section>
  );
}

const REPLICA_MARKS = {
  InSync: 'good',
  Lagging: 'working',
  Rebuilding: 'working',
  Stale: 'worse',
  Offline: 'broken',
} as const;
const REPLICA_WORDS = {
  InSync: 'In sync',
  Lagging: 'Behind',
  Rebuilding: 'Being filled anew',
  Stale: 'Stale',
  Offline: 'Away',
} as const;

function ReplicaState({ farm: { replica } }: { readonly farm: Farm }) {
  return (
    <section class="card" aria-labelledby="replica">
      <h2 id="replica">Replica (offline database)</h2>
      {!replica?.state ? (
        <p class="quiet">Not known yet: it is filled once the database answers.</p>
      ) : (
        <>
          <p>
            <State mark={REPLICA_MARKS[replica.state]}>{REPLICA_WORDS[replica.state]}</State>{' '}
            {replica.lastChange && <Since ms={Date.parse(replica.lastChange)} />}
          </p>
          {replica.followers && (
            <p class="quiet">
              {replica.followers.ready} of {counted(replica.followers.total, 'server')} have it in their own memory
            </p>
          )}
          {replica.message && <p>{replica.message}</p>}
        </>
      )}
    </section>
  );
}

function Numbers({
  farm: { devices, servers: wanted },
  servers,
}: {
  readonly farm: Farm;
  readonly servers: readonly Server[];
}) {
  const streams = servers.filter(({ state }) => state === 'Streaming').length;
  return (
    <section class="card" aria-labelledby="numbers">
      <h2 id="numbers">Now</h2>
      <dl class="numbers">
        <div>
          <dt>
            <a href={linkTo('devices', [], { state: 'Streaming' })}>Devices that stream</a>
          </dt>
          <dd>{inNumber(devices?.streaming ?? 0)}</dd>
        </div>
        <div>
          <dt>
            <a href={linkTo('devices', [], { state: 'Booting' })}>booting</a>
          </dt>
          <dd>{inNumber(devices?.booting ?? 0)}</dd>
        </div>
        <div>
          <dt>
            <a href={linkTo('devices')}>known</a>
          </dt>
          <dd>{inNumber(devices?.known ?? 0)}</dd>
        </div>
        <div>
          <dt>
            <a href={linkTo('servers')}>Servers that stream</a>
          </dt>
          <dd>
            {streams} <small>of {wanted?.total ?? servers.length}</small>
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Devices({ points }: { readonly points: readonly Point[] }) {
  const times = useMemo(() => points.map(({ at }) => at / 1_000), [points]);
  const [first] = points;
  const last = points.at(-1);
  if (!first || !last) return null;
  const most = Math.max(...points.map(({ streaming }) => streaming));
  const says = `Devices from ${atTime(first.at)} to ${atTime(last.at)}: ${last.streaming} stream now, ${last.booting} boot, ${most} streamed at most.`;
  return (
    <section aria-labelledby="over-time">
      <h2 id="over-time">Devices over the last hours</h2>
      {times.length < 2 ? (
        <Empty title={`${counted(last.streaming, 'device')} ${last.streaming === 1 ? 'streams' : 'stream'} now.`}>
          The line begins when this page was opened, and grows by a point a minute. Days and weeks are on the dashboard
          for Grafana (deploy/monitoring).
        </Empty>
      ) : (
        <>
          <Chart
            times={times}
            says={says}
            lines={[
              { name: 'stream', colour: '--good', values: points.map(({ streaming }) => streaming) },
              { name: 'boot', colour: '--working', values: points.map(({ booting }) => booting), dash: [5, 4] },
            ]}
          />
          <p class="quiet">The last {lasting(last.at - first.at)}, as this page saw them.</p>
        </>
      )}
    </section>
  );
}

function Sites({ farm: { collections }, servers }: { readonly farm: Farm; readonly servers: readonly Server[] }) {
  const sites = [...new Set([...collections.map(({ site }) => site), ...servers.map(({ site }) => site)])].sort();
  return (
    <section aria-labelledby="sites">
      <h2 id="sites">Sites and collections</h2>
      {sites.length === 0 ? (
        <Empty title="The Farm names no collection.">
          A collection is what devices belong to, such as a room. Add one under spec.collections: page Resources.
        </Empty>
      ) : (
        <Scroll label="Sites">
          <table>
            <thead>
              <tr>
                <th scope="col">Site</th>
                <th scope="col">Servers that stream</th>
                <th scope="col" class="number">
                  Devices
                </th>
                <th scope="col">Bootstrap</th>
                <th scope="col">Collections</th>
              </tr>
            </thead>
            <tbody>
              {sites.map((site) => (
                <SiteRow
                  key={site}
                  site={site}
                  servers={servers.filter((server) => server.site === site)}
                  collections={collections.filter((collection) => collection.site === site)}
                />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}

function SiteRow({
  site,
  servers,
  collections,
}: {
  readonly site: string;
  readonly servers: readonly Server[];
  readonly collections: Farm['collections'];
}) {
  const hashes = new Set(
    servers.flatMap(({ bootstrapHash, state }) => (bootstrapHash && state === 'Streaming' ? [bootstrapHash] : [])),
  );
  const [hash] = hashes;
  return (
    <tr>
      <th scope="row">{site}</th>
      <td>
        {servers.filter(({ state }) => state === 'Streaming').length} of {servers.length}
      </td>
      <td class="number">{inNumber(servers.reduce((sum, { devices }) => sum + devices, 0))}</td>
      <td>
        {hash === undefined ? (
          <span class="quiet">none yet</span>
        ) : (
          <State mark={hashes.size === 1 ? 'good' : 'broken'}>
            {hashes.size === 1 ? (
              <>
                the same <code title={hash}>{hash.slice(0, 12)}</code>
              </>
            ) : (
              'servers tell devices different things'
            )}
          </State>
        )}
      </td>
      <td class="prose">
        {collections.map(({ name, vdisk, class: access }, index) => (
          <span key={name}>
            {index > 0 && ', '}
            <a href={linkTo('devices', [], { collection: name })}>{name}</a>
            <span class="quiet">
              {' '}
              ({vdisk ?? 'no vDisk'}, {access})
            </span>
          </span>
        ))}
      </td>
    </tr>
  );
}
