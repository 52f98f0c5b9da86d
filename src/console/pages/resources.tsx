/** Resources: what each says of itself and what was told of it lately; its spec as YAML, edited here, or as a patch to commit where git decides. */
import { useEffect, useState } from 'preact/hooks';
import { ask, askJson } from '../ask.ts';
import type { FarmData } from '../farmdata.ts';
import { useSending } from '../form.tsx';
import { Mark, type MarkName } from '../marks.tsx';
import { mergePatchOf } from '../mergepatch.ts';
import { Conditions, Empty, Problem, Scroll, State, Time } from '../parts.tsx';
import { linkTo, place } from '../place.ts';
import type { Condition, Resource } from '../shapes.ts';

/** Kind, and where the API has it. */
const KINDS = { Farm: '', StreamingServer: '/pools', Store: '/stores', VDisk: '/vdisks' } as const;
type Kind = keyof typeof KINDS;

interface Named {
  readonly kind: Kind;
  readonly name: string;
  readonly conditions: readonly Condition[];
}

const pathOf = (data: FarmData, kind: Kind, name: string): string =>
  data.path(kind === 'Farm' ? '/resource' : `${KINDS[kind]}/${encodeURIComponent(name)}/resource`);

export function ResourcesPage({ data }: { readonly data: FarmData }) {
  const [kindName, name] = place.value?.rest ?? [];
  const kind = (Object.keys(KINDS) as Kind[]).find((known) => known === kindName);
  if (kind !== undefined && name !== undefined)
    return <One key={`${kind} ${name}`} data={data} kind={kind} name={name} />;
  return <All data={data} />;
}

function All({ data }: { readonly data: FarmData }) {
  const farm = data.farm.value;
  const of = (
    kind: Kind,
    items: Iterable<{ readonly name: string; readonly conditions: readonly Condition[] }>,
  ): readonly Named[] => [...items].map(({ name, conditions }) => ({ kind, name, conditions }));
  const all = [
    ...(farm ? of('Farm', [farm]) : []),
    ...of('StreamingServer', data.pools.value.items.values()),
    ...of('Store', data.stores.value.items.values()),
    ...of('VDisk', data.vdisks.value.items.values()),
  ];
  if (all.length === 0) return <p class="loading">Reading…</p>;
  return (
    <Scroll label="Resources">
      <table>
        <thead>
          <tr>
            <th scope="col">Kind</th>
            <th scope="col">Name</th>
            <th scope="col">State</th>
            <th scope="col">What it says</th>
          </tr>
        </thead>
        <tbody>
          {all.map(({ kind, name, conditions }) => {
            const { mark, words, says } = stateOf(conditions);
            return (
              <tr key={`${kind} ${name}`}>
                <td>{kind}</td>
                <th scope="row">
                  <a href={linkTo('resources', [kind, name])}>{name}</a>
                </th>
                <td>
                  <State mark={mark}>{words}</State>
                </td>
                <td class="prose">{says}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scroll>
  );
}

/** As kstatus reads them. */
function stateOf(conditions: readonly Condition[]): {
  readonly mark: MarkName;
  readonly words: string;
  readonly says: string;
} {
  const of = (type: string, status: string) => conditions.find((each) => each.type === type && each.status === status);
  const [stalled, down, degraded] = [of('Stalled', 'True'), of('Ready', 'False'), of('Degraded', 'True')];
  const [working, ready] = [of('Reconciling', 'True'), of('Ready', 'True')];
  if (stalled) return { mark: 'broken', words: 'Stalled', says: stalled.message };
  if (down) return { mark: 'broken', words: 'Not ready', says: down.message };
  if (degraded) return { mark: 'worse', words: 'Degraded', says: degraded.message };
  if (working) return { mark: 'working', words: 'Reconciling', says: working.message };
  if (ready) return { mark: 'good', words: 'Ready', says: ready.message };
  return { mark: 'unknown', words: 'Not looked at', says: '' };
}

function One({ data, kind, name }: { readonly data: FarmData; readonly kind: Kind; readonly name: string }) {
  const [resource, setResource] = useState<Resource | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [turn, setTurn] = useState(0);
  const link = data.link.value.state;
  useEffect(() => {
    if (link !== 'live') return undefined;
    const ended = new AbortController();
    askJson<Resource>(pathOf(data, kind, name), { signal: ended.signal })
      .then((found) => {
        setResource(found);
        setProblem(undefined);
      })
      .catch((thrown: unknown) => {
        if (!ended.signal.aborted) setProblem(thrown instanceof Error ? thrown.message : String(thrown));
      });
    return () => ended.abort();
  }, [data, kind, name, link, turn]);
  return (
    <>
      <p class="path">
        <a href={linkTo('resources')}>All resources</a>
      </p>
      {problem !== undefined && <Problem again={() => setTurn(turn + 1)}>{problem}</Problem>}
      {!resource && problem === undefined && <p class="loading">Reading {name}…</p>}
      {resource && (
        <>
          <h2>
            {kind} {name}{' '}
            <small>
              {resource.apiVersion} in {resource.namespace}
            </small>
          </h2>
          <section aria-labelledby="conditions">
            <h3 id="conditions">Conditions</h3>
            <Conditions of={resource.conditions} />
          </section>
          <section aria-labelledby="events">
            <h3 id="events">Events</h3>
            <Events resource={resource} />
          </section>
          <section aria-labelledby="spec">
            <h3 id="spec">Spec</h3>
            <Spec
              key={resource.generation}
              path={pathOf(data, kind, name)}
              resource={resource}
              onApplied={() => setTurn(turn + 1)}
            />
          </section>
        </>
      )}
    </>
  );
}

function Events({ resource: { events, eventsAway } }: { readonly resource: Resource }) {
  if (eventsAway !== undefined) return <Problem>Events are not known: {eventsAway}</Problem>;
  if (events.length === 0) return <Empty title="Nothing was told of it in the last hour." />;
  return (
    <Scroll label="Events">
      <table>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Event</th>
            <th scope="col">What it says</th>
          </tr>
        </thead>
        <tbody>
          {events.map(({ type, reason, note, count, lastAt }) => (
            <tr key={`${reason} ${note} ${lastAt}`}>
              <td>
                <Time ms={Date.parse(lastAt)} />
              </td>
              <th scope="row">
                <State mark={type === 'Warning' ? 'worse' : 'note'}>{reason}</State>
              </th>
              <td class="prose">
                {note}
                {count > 1 && <span class="quiet"> × {count}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** The library for YAML comes when a spec is looked at. */
const yaml = () => import('yaml');

function Spec({
  path,
  resource,
  onApplied,
}: {
  readonly path: string;
  readonly resource: Resource;
  readonly onApplied: () => void;
}) {
  const { spec, managedBy } = resource;
  const [text, setText] = useState<string | undefined>(undefined);
  const [patch, setPatch] = useState<
    { readonly is?: unknown; readonly text: string; readonly wrong?: string } | undefined
  >(undefined);
  const [judged, setJudged] = useState(false);
  const { refused, isBusy, send } = useSending();
  useEffect(() => {
    void yaml().then(({ stringify }) => setText(stringify(spec, { lineWidth: 0 })));
  }, [spec]);
  if (text === undefined) return <p class="loading">Reading…</p>;
  const write = async (written: string): Promise<void> => {
    setText(written);
    setJudged(false);
    const { parse, stringify } = await yaml();
    try {
      const is = mergePatchOf(spec, parse(written) ?? {});
      setPatch(is === undefined ? undefined : { is, text: stringify({ spec: is }, { lineWidth: 0 }) });
    } catch (thrown) {
      setPatch({ text: '', wrong: thrown instanceof Error ? thrown.message : String(thrown) });
    }
  };
  const give = async (apply: boolean): Promise<void> => {
    const done = await send(() =>
      ask(path, { method: 'PATCH', body: { spec: patch?.is, generation: resource.generation }, query: { apply } }),
    );
    if (done && apply) onApplied();
    setJudged(done);
  };
  return (
    <>
      {managedBy !== undefined && (
        <p class="note">
          <Mark name="note" /> It is kept by {managedBy}, which makes undone what is changed here: change it below, and
          commit the patch.
        </p>
      )}
      <label class="unseen" for="yaml">
        Spec as YAML
      </label>
      <textarea
        id="yaml"
        class="yaml"
        spellcheck={false}
        rows={Math.min(30, text.split('\n').length + 1)}
        aria-invalid={patch?.wrong !== undefined || refused !== undefined}
        value={text}
        onInput={({ currentTarget }) => void write(currentTarget.value)}
      />
      {patch?.wrong !== undefined && <Problem>It is no YAML: {patch.wrong}</Problem>}
      {refused && <Problem>{refused.message}</Problem>}
      {patch && patch.wrong === undefined && <Patch text={patch.text} managedBy={managedBy} />}
      {judged && (
        <p class="verdict verdict-good">
          <Mark name="good" /> The API server takes it so.
        </p>
      )}
      {patch && patch.wrong === undefined && (
        <p class="actions">
          <button type="button" disabled={isBusy} onClick={() => void give(false)}>
            Judge
          </button>
          {managedBy === undefined && (
            <button type="button" class="primary" disabled={isBusy || !judged} onClick={() => void give(true)}>
              Apply
            </button>
          )}
        </p>
      )}
    </>
  );
}

function Patch({ text, managedBy }: { readonly text: string; readonly managedBy: string | undefined }) {
  return (
    <figure class="patch">
      <figcaption>{managedBy === undefined ? 'What changes' : 'The patch to commit'}</figcaption>
      <pre>{text}</pre>
      <button type="button" onClick={() => void navigator.clipboard.writeText(text)}>
        Copy
      </button>
    </figure>
  );
}
