/** What servers heard of a machine: why it does not boot in sentences, and its last boots as lines of time. */
import { Mark, type MarkName } from '../marks.tsx';
import { Empty, State, Time } from '../parts.tsx';
import type { Explanation } from '../shapes.ts';

type Boot = Explanation['boots'][number];
type Step = Boot['steps'][number];

export function Sentences({ of }: { readonly of: Explanation['sentences'] }) {
  return (
    <ol class="sentences">
      {of.map(({ step, at, text, servers, times = 1, isRight }) => (
        <li key={`${step} ${text}`}>
          <Mark name={isRight ? 'good' : 'broken'} />
          <span>
            {text}
            <span class="quiet">
              {servers.length > 0 && ` · ${servers.join(', ')}`}
              {times > 1 && ` · ${times} times`}
              {at !== undefined && (
                <>
                  {' · '}
                  <Time ms={at} />
                </>
              )}
            </span>
          </span>
        </li>
      ))}
    </ol>
  );
}

export function Boots({ boots }: { readonly boots: Explanation['boots'] }) {
  return (
    <section aria-labelledby="boots">
      <h2 id="boots">Its last boots</h2>
      {boots.length === 0 ? (
        <Empty title="No server has heard of it.">
          Servers remember the last five boots of each machine since they were started. Where it was switched on since:
          its network card does not reach a server.
        </Empty>
      ) : (
        boots.toReversed().map((boot, index) => <BootLine key={boot.steps[0]?.at} boot={boot} isOpen={index === 0} />)
      )}
    </section>
  );
}

function BootLine({ boot: { steps }, isOpen }: { readonly boot: Boot; readonly isOpen: boolean }) {
  const from = Math.min(...steps.map(({ at }) => at));
  const to = Math.max(...steps.map(({ lastAt }) => lastAt));
  const [word, mark] = endOf(steps);
  return (
    <details class="boot" open={isOpen}>
      <summary>
        <Time ms={from} /> <State mark={mark}>{word}</State> <span class="quiet">{seconds(to - from)}</span>
      </summary>
      <ol class="steps">
        {steps.map((step) => (
          <li key={`${step.step} ${step.server} ${step.at} ${step.detail}`}>
            <Mark name={step.reason ? 'broken' : step.step === 'end' ? 'off' : 'good'} />
            <span class="step-at">+{seconds(step.at - from)}</span>
            <span class="step-name">{step.step}</span>
            <span class="step-says">
              {step.server}
              {step.detail && <span class="quiet"> {step.detail}</span>}
              {step.times > 1 && <span class="quiet"> × {step.times}</span>}
              {step.reason && <span class="wrong"> {step.reason.message}</span>}
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}

function endOf(steps: readonly Step[]): readonly [string, MarkName] {
  const refused = steps.findLast(({ reason }) => reason);
  const has = (name: Step['step']) => steps.some(({ step }) => step === name);
  if (has('end')) return ['ran, and ended', 'off'];
  if (has('running')) return ['ran', 'good'];
  if (refused) return [`stopped at ${refused.step}`, 'broken'];
  return [`came as far as ${steps.at(-1)?.step}`, 'working'];
}

const seconds = (ms: number): string =>
  ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
