/** The frame: who is known, which farm, where, and whether what is shown is still so. */
import type { ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { FarmData } from './farmdata.ts';
import { Mark } from './marks.tsx';
import { AuditPage } from './pages/audit.tsx';
import { DevicesPage } from './pages/devices.tsx';
import { FarmPage } from './pages/farm.tsx';
import { ResourcesPage } from './pages/resources.tsx';
import { ServersPage } from './pages/servers.tsx';
import { UnknownPage } from './pages/unknown.tsx';
import { VDisksPage } from './pages/vdisks.tsx';
import { Empty, Problem, Since } from './parts.tsx';
import { go, linkTo, linkToFarm, place } from './place.ts';
import { PAGES, type PageName } from './route.ts';
import { data, door, knock, leave, mayLeave } from './session.ts';
import { SignIn } from './signin.tsx';
import { ThemeChoice } from './theme.tsx';

const PLACES: Readonly<
  Partial<Record<PageName, readonly [name: string, page: ComponentType<{ readonly data: FarmData }>]>>
> = {
  farm: ['Farm', FarmPage],
  vdisks: ['vDisks', VDisksPage],
  servers: ['Servers', ServersPage],
  devices: ['Devices', DevicesPage],
  unknown: ['Unknown machines', UnknownPage],
  audit: ['Audit', AuditPage],
  resources: ['Resources', ResourcesPage],
};

export function App() {
  const { state } = door.value;
  if (state === 'asking') return <p class="loading door">Asking the operator…</p>;
  if (state === 'unknown') return <SignIn reason={door.value.state === 'unknown' ? door.value.reason : undefined} />;
  if (door.value.state === 'failed')
    return (
      <main class="door">
        <h1>bootfarm</h1>
        <Problem again={() => void knock()}>{door.value.reason}</Problem>
      </main>
    );
  return <Frame />;
}

function Frame() {
  const at = place.value;
  const farm = data.value;
  const [title, Page] = PLACES[at?.page ?? 'farm'] ?? ['Farm', FarmPage];
  const main = useRef<HTMLElement>(null);
  const where = `${at?.page}/${at?.rest.join('/')}`;
  const [before, setBefore] = useState(where);
  // Who goes to another page by the keyboard begins at its head; who only looks at the first one is left where they are.
  useEffect(() => {
    if (where === before) return;
    setBefore(where);
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [where, before]);
  useEffect(() => {
    document.title = [at?.rest[0], title, at?.farm, 'bootfarm'].filter(Boolean).join(' · ');
  }, [at, title]);
  return (
    <div class={`frame ${farm?.oldSince.value === undefined ? '' : 'is-lost'}`}>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        To the content
      </button>
      <header>
        <Head />
        <nav aria-label="Pages">
          <ul>
            {PAGES.flatMap((page) => {
              const [name] = PLACES[page] ?? [];
              if (name === undefined) return [];
              return (
                <li key={page}>
                  <a href={linkTo(page)} aria-current={at?.page === page ? 'page' : undefined}>
                    {name}
                  </a>
                </li>
              );
            })}
          </ul>
        </nav>
        <div class="header-end">
          <ThemeChoice />
          {mayLeave() && (
            <button type="button" onClick={leave}>
              Leave
            </button>
          )}
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {farm && <LinkState farm={farm} />}
        <h1>{title}</h1>
        <div class="page">{farm ? <Page data={farm} /> : <NoFarm />}</div>
      </main>
    </div>
  );
}

function Head() {
  const at = place.value;
  const farms = door.value.state === 'open' ? door.value.farms : [];
  return (
    <div class="head">
      <span class="brand">bootfarm</span>
      {farms.length > 1 ? (
        <label class="farm-choice">
          <span class="unseen">Farm</span>
          <select
            value={`${at?.namespace}/${at?.farm}`}
            onChange={({ currentTarget }) => {
              const [namespace = '', name = ''] = currentTarget.value.split('/');
              go(linkToFarm(namespace, name));
            }}
          >
            {farms.map(({ namespace, name }) => (
              <option key={`${namespace}/${name}`} value={`${namespace}/${name}`}>
                {namespace}/{name}
              </option>
            ))}
          </select>
        </label>
      ) : (
        at && (
          <span class="farm-name">
            {at.namespace}/{at.farm}
          </span>
        )
      )}
    </div>
  );
}

function LinkState({ farm }: { readonly farm: FarmData }) {
  const link = farm.link.value;
  const database = farm.database.value;
  return (
    <div class="link" role="status">
      {link.state === 'live' && (
        <span class="live">
          <Mark name="good" /> Live
        </span>
      )}
      {link.state === 'connecting' && (
        <span class="live">
          <Mark name="working" /> Connecting…
        </span>
      )}
      {link.state === 'lost' && (
        <p class="banner banner-lost">
          <Mark name="broken" />
          <span>
            Connection lost <Since ms={link.since} />: {link.reason}. What is shown is as it was then; it is tried again
            by itself.
          </span>
        </p>
      )}
      {link.state === 'ended' && (
        <p class="banner banner-lost">
          <Mark name="broken" />
          <span>
            Nothing is live <Since ms={link.since} />: {link.reason}
          </span>
        </p>
      )}
      {link.state === 'live' && database && !database.reachable && (
        <p class="banner">
          <Mark name="worse" />
          <span>
            The farm database is away <Since ms={Date.parse(database.since)} />. Machines go on; what is shown comes
            from the replica, and edits wait.
          </span>
        </p>
      )}
    </div>
  );
}

/** There is none, or none that they may list. */
function NoFarm() {
  const reason = door.value.state === 'open' ? door.value.reason : undefined;
  const [to, setTo] = useState('');
  const [namespace = '', name = ''] = to.trim().split('/');
  return (
    <>
      {reason === undefined ? (
        <Empty title="There is no farm here yet.">
          Make one: <code>kubectl apply -k deploy/samples</code>. It appears here by itself.
        </Empty>
      ) : (
        <Problem>{reason}</Problem>
      )}
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          go(linkToFarm(namespace, name));
        }}
      >
        <label>
          Open the farm{' '}
          <input
            placeholder="namespace/farm"
            pattern="[^/]+/[^/]+"
            required
            value={to}
            onInput={({ currentTarget }) => setTo(currentTarget.value)}
          />
        </label>
        <button type="submit">Open</button>
      </form>
    </>
  );
}
