/** Small things that every page is made of. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { View } from './list.ts';
import { Mark, type MarkName } from './marks.tsx';
import type { Condition, Stale } from './shapes.ts';
import { atTime, inFull, lasting } from './words.ts';

/** The time, each second: whoever reads it is drawn again then. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1_000);
document.addEventListener('visibilitychange', () => {
  now.value = Date.now();
});

export function Time({ ms }: { readonly ms: number | undefined }) {
  if (ms === undefined || !Number.isFinite(ms)) return <span class="quiet">not known</span>;
  return (
    <time dateTime={new Date(ms).toISOString()} title={inFull(ms)}>
      {atTime(ms)}
    </time>
  );
}

/** `since 12:03:11 (4 min)`. */
export function Since({ ms }: { readonly ms: number }) {
  return (
    <span class="since">
      since <Time ms={ms} /> ({lasting(Math.max(0, now.value - ms))})
    </span>
  );
}

export function State({ mark, children }: { readonly mark: MarkName; readonly children: ComponentChildren }) {
  return (
    <span class={`state state-${mark}`}>
      <Mark name={mark} />
      <span>{children}</span>
    </span>
  );
}

/** Why something is not there. */
export function Problem({ children, again }: { readonly children: ComponentChildren; readonly again?: () => void }) {
  return (
    <div class="problem" role="alert">
      <Mark name="broken" />
      <p>{children}</p>
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Nothing is there: what comes next. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Old({ stale }: { readonly stale: Stale | undefined }) {
  if (!stale) return null;
  return (
    <p class="old">
      <Mark name="worse" /> As it was at <Time ms={Date.parse(stale.since)} />: the farm database is away, and this
      comes from the replica. Edits wait until it is back.
    </p>
  );
}

/** A table that may be wider than its place: reached by the keyboard, too. */
export function Scroll({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without a focus the arrow keys do not scroll it (WCAG 2.1.1)
    <section class="scroll" aria-label={`${label}: table`} tabIndex={0}>
      {children}
    </section>
  );
}

/** A list, or why there is none. */
export function Listed<T>({
  view,
  empty,
  children,
}: {
  readonly view: View<T>;
  readonly empty: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  if (view.state === 'refused') return <Problem>{view.problem}</Problem>;
  if (view.state === 'unread') return <p class="loading">Reading…</p>;
  return (
    <div class={view.stale ? 'is-old' : undefined}>
      <Old stale={view.stale} />
      {view.problem && <Problem>It could not be read again: {view.problem}</Problem>}
      {view.items.size === 0 && view.state === 'all' ? empty : children}
    </div>
  );
}

/** As Kubernetes says them: abnormal-true for these three. */
const ABNORMAL = ['Reconciling', 'Stalled', 'Degraded', 'RolloutPending', 'Overridden', 'MergePending', 'Autoscaling'];

function markOf({ type, status }: Condition): MarkName {
  if (status === 'Unknown') return 'unknown';
  const isRight = (status === 'True') !== ABNORMAL.includes(type);
  if (isRight) return 'good';
  return type === 'Stalled' || type === 'Ready'
    ? 'broken'
    : type === 'Reconciling' || type === 'RolloutPending'
      ? 'working'
      : 'worse';
}

export function Conditions({ of }: { readonly of: readonly Condition[] }) {
  if (of.length === 0)
    return (
      <Empty title="No conditions yet">The operator has not looked at it. It does within seconds, where it runs.</Empty>
    );
  return (
    <Scroll label="Conditions">
      <table>
        <thead>
          <tr>
            <th scope="col">Condition</th>
            <th scope="col">Reason</th>
            <th scope="col">Message</th>
            <th scope="col">Since</th>
          </tr>
        </thead>
        <tbody>
          {of.map((condition) => (
            <tr key={condition.type}>
              <th scope="row">
                <State mark={markOf(condition)}>
                  {condition.type}: {condition.status}
                </State>
              </th>
              <td>{condition.reason}</td>
              <td class="prose">{condition.message}</td>
              <td>
                <Time ms={Date.parse(condition.lastTransitionTime ?? '')} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
