/** Servers: how the devices are spread against what is fair, what is wrong, what drains; and the stores as each server sees them. */

import { inUnits } from '../../kit/units.ts';
import { balance, type Share, type SiteBalance } from '../balance.ts';
import type { FarmData } from '../farmdata.ts';
import type { MarkName } from '../marks.tsx';
import { Empty, Listed, Scroll, State } from '../parts.tsx';
import { linkTo } from '../place.ts';
import type { Store } from '../shapes.ts';
import { counted, inNumber } from '../words.ts';

export function ServersPage({ data }: { readonly data: FarmData }) {
  const servers = [...data.servers.value.items.values()];
  return (
    <>
      <Listed
        view={data.servers.value}
        empty={
          <Empty title="No server streams for this farm yet.">
            Make a StreamingServer, a pool of servers of one site, and scale it: kubectl scale streamingserver NAME
            --replicas 2. A new one joins by itself.
          </Empty>
        }
      >
        {balance(servers).map((site) => (
          <Site key={site.site} site={site} stores={[...data.stores.value.items.values()]} />
        ))}
      </Listed>
      <section aria-labelledby="stores">
        <h2 id="stores">Stores</h2>
        <Listed
          view={data.stores.value}
          empty={
            <Empty title="The farm has no store.">
              A Store is a named place for the files of vDisks. Make one: deploy/samples has an example.
            </Empty>
          }
        >
          <Stores stores={[...data.stores.value.items.values()]} />
        </Listed>
      </section>
    </>
  );
}

const MARKS: Readonly<Record<string, MarkName>> = {
  Streaming: 'good',
  Starting: 'working',
  Draining: 'working',
  Unreachable: 'broken',
  Refused: 'worse',
};

function Site({
  site: { site, devices, shares },
  stores,
}: {
  readonly site: SiteBalance;
  readonly stores: readonly Store[];
}) {
  return (
    <section aria-labelledby={`site-${site}`}>
      <h2 id={`site-${site}`}>
        Site {site}{' '}
        <small>
          {counted(devices, 'device')} on {counted(shares.length, 'server')}
        </small>
      </h2>
      <Scroll label={`Servers of site ${site}`}>
        <table class="servers">
          <thead>
            <tr>
              <th scope="col">Server</th>
              <th scope="col">State</th>
              <th scope="col">
                Devices, against the fair share <span class="fair-key" aria-hidden="true" />
              </th>
              <th scope="col">What is wrong</th>
              <th scope="col" class="number">
                Booting
              </th>
              <th scope="col" class="number">
                Load
              </th>
              <th scope="col">Pool</th>
              <th scope="col">Addresses</th>
            </tr>
          </thead>
          <tbody>
            {shares.map((share) => (
              <ServerRow key={share.server.name} share={share} stores={stores} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function ServerRow({ share, stores }: { readonly share: Share; readonly stores: readonly Store[] }) {
  const { server } = share;
  const faults = stores.flatMap(({ name, servers }) =>
    servers
      .filter((seen) => seen.name === server.name && seen.state !== 'Accessible')
      .map(({ state, message }) => `store ${name} is ${state}${message ? `: ${message}` : ''}`),
  );
  const wrong = [server.message, ...faults].filter((text) => text !== '');
  return (
    <tr>
      <th scope="row">{server.name}</th>
      <td>
        <State mark={MARKS[server.state] ?? 'unknown'}>{server.state}</State>
      </td>
      <td>
        <Bar share={share} />
      </td>
      <td class="prose">{wrong.length === 0 ? <span class="quiet">nothing</span> : wrong.join('; ')}</td>
      <td class="number">{inNumber(server.booting)}</td>
      <td class="number">{server.loadPercent} %</td>
      <td>
        {server.pool}
        {server.powerRating !== 1 && <span class="quiet"> × {server.powerRating}</span>}
      </td>
      <td>{server.addresses.join(', ')}</td>
    </tr>
  );
}

function Bar({ share: { server, fair, width, fairAt, words } }: { readonly share: Share }) {
  return (
    <div class="share">
      <svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        <rect class="bar-track" width="100" height="10" />
        <rect class="bar-value" width={width * 100} height="10" />
        {fairAt !== undefined && <path class="bar-fair" d={`M${Math.min(99.5, fairAt * 100)} 0v10`} />}
      </svg>
      <span>
        <a href={linkTo('devices', [], { server: server.name })}>{inNumber(server.devices)}</a>{' '}
        <span class="quiet">
          {words}
          {fair !== undefined && words !== 'fair' && ` its share of ${inNumber(Math.round(fair))}`}
        </span>
      </span>
    </div>
  );
}

const STORE_MARKS: Readonly<Record<string, MarkName>> = {
  Accessible: 'good',
  ReadOnly: 'worse',
  Missing: 'broken',
  Unreachable: 'broken',
};

function Stores({ stores }: { readonly stores: readonly Store[] }) {
  return (
    <Scroll label="Stores">
      <table>
        <thead>
          <tr>
            <th scope="col">Store</th>
            <th scope="col">Kind</th>
            <th scope="col">Server</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Files
            </th>
            <th scope="col" class="number">
              Free
            </th>
            <th scope="col">What is wrong</th>
          </tr>
        </thead>
        <tbody>
          {stores.flatMap((store) =>
            (store.servers.length > 0 ? store.servers : [undefined]).map((seen, index) => (
              <tr key={`${store.name} ${seen?.name}`} class={index === 0 ? 'begins' : undefined}>
                <th scope="row">
                  <span class={index > 0 ? 'repeated' : undefined}>{store.name}</span>
                </th>
                <td>{index === 0 && store.kind}</td>
                <td>{seen?.name ?? <span class="quiet">none offers it yet</span>}</td>
                <td>{seen && <State mark={STORE_MARKS[seen.state] ?? 'unknown'}>{seen.state}</State>}</td>
                <td class="number">{seen?.files}</td>
                <td class="number">
                  {seen?.freeBytes !== undefined && inUnits(seen.freeBytes)}
                  {seen?.totalBytes !== undefined && <span class="quiet"> of {inUnits(seen.totalBytes)}</span>}
                </td>
                <td class="prose">{seen?.message}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </Scroll>
  );
}
