/** Who changed what, the newest first. */
import { useEffect, useState } from 'preact/hooks';
import { askJson } from '../ask.ts';
import { changesOf } from '../changes.ts';
import type { FarmData } from '../farmdata.ts';
import { Empty, Problem, Scroll, Time } from '../parts.tsx';
import { place, setQuery } from '../place.ts';
import type { AuditEntry, Page } from '../shapes.ts';

const PAGE = 50;
const FILTERS = ['name', 'kind', 'who'] as const;
const SOURCES = ['api', 'command', 'resource', 'auto-add', 'offline'];
const LABELS = { name: 'Of', kind: 'Kind', who: 'Who' } as const;

export function AuditPage({ data }: { readonly data: FarmData }) {
  const query = place.value?.query ?? {};
  const [told, setTold] = useState<Page<AuditEntry> | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const link = data.link.value.state;
  const { name = '', kind = '', who = '', source = '' } = query;
  const read = async (before: Page<AuditEntry> | undefined, signal?: AbortSignal): Promise<void> => {
    try {
      const page = await askJson<Page<AuditEntry>>(data.path('/audit'), {
        query: { limit: PAGE, name, kind, who, source, continue: before?.continue },
        ...(signal ? { signal } : {}),
      });
      setTold({ ...page, items: [...(before?.items ?? []), ...page.items] });
      setProblem(undefined);
    } catch (thrown) {
      if (!signal?.aborted) setProblem(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };
  useEffect(() => {
    if (link !== 'live') return undefined;
    const ended = new AbortController();
    // What is typed is asked for when it pauses.
    const timer = setTimeout(() => void read(undefined, ended.signal), told ? 250 : 0);
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  }, [data, link, name, kind, who, source]);
  return (
    <>
      <search>
        <form class="filters" onSubmit={(event) => event.preventDefault()}>
          {FILTERS.map((filter) => (
            <label key={filter}>
              {LABELS[filter]}{' '}
              <input
                type="search"
                size={14}
                value={query[filter] ?? ''}
                onInput={({ currentTarget }) => setQuery({ [filter]: currentTarget.value })}
              />
            </label>
          ))}
          <label>
            By{' '}
            <select value={source} onChange={({ currentTarget }) => setQuery({ source: currentTarget.value })}>
              <option value="">any way</option>
              {SOURCES.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
        </form>
      </search>
      {problem !== undefined && <Problem again={() => void read(undefined)}>{problem}</Problem>}
      {!told && problem === undefined && <p class="loading">Reading…</p>}
      {told && told.items.length === 0 && (
        <Empty title="Nothing was changed so.">
          Each edit of a device, a version or an override leaves a line here, with who, old and new.
        </Empty>
      )}
      {told && told.items.length > 0 && <Entries entries={told.items} />}
      {told?.continue !== undefined && (
        <p>
          <button type="button" onClick={() => void read(told)}>
            Older ones
          </button>
        </p>
      )}
    </>
  );
}

function Entries({ entries }: { readonly entries: readonly AuditEntry[] }) {
  return (
    <Scroll label="Audit">
      <table>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">Old and new</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.id}>
              <td>
                <Time ms={Date.parse(entry.at)} />
              </td>
              <td>
                {entry.who}
                <span class="quiet"> by {entry.source}</span>
              </td>
              <th scope="row">
                {entry.action} {entry.kind} {entry.name}
              </th>
              <td class="prose">
                <ul class="diff">
                  {changesOf(entry.before, entry.after).map(({ field, was, is }) => (
                    <li key={field}>
                      {field}: {was !== undefined && <del>{was}</del>} {is !== undefined && <ins>{is}</ins>}
                    </li>
                  ))}
                </ul>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
