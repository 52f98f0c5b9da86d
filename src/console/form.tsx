/** What is sent and judged: the fields of a form, and what the API says of them. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Refused } from './ask.ts';
import { Mark } from './marks.tsx';
import { Problem } from './parts.tsx';
import type { Complaint } from './shapes.ts';

/** An edit on its way: what became of it. */
export interface Sending {
  readonly isBusy: boolean;
  readonly refused: Refused | undefined;
  /** True: it was done. */
  readonly send: (work: () => Promise<unknown>) => Promise<boolean>;
}

export function useSending(): Sending {
  const [isBusy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Refused | undefined>(undefined);
  const send = async (work: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setRefused(undefined);
    try {
      await work();
      return true;
    } catch (thrown) {
      setRefused(thrown instanceof Refused ? thrown : new Refused(0, String(thrown)));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, refused, send };
}

/** What of a form is wrong, in the API's own words: each at its field, and the rest above. */
const wrongOf = (refused: Refused | undefined, field: string): readonly Complaint[] =>
  refused?.problem?.complaints?.filter(
    (complaint) => complaint.field === field || complaint.field.startsWith(`${field}.`),
  ) ?? [];

export function Refusal({
  of: refused,
  fields = [],
}: {
  readonly of: Refused | undefined;
  readonly fields?: readonly string[];
}) {
  if (!refused) return null;
  const rest = refused.problem?.complaints?.filter(({ field }) => !fields.includes(field.split('.')[0] ?? ''));
  if (rest && rest.length === 0) return <Problem>Nothing was changed: see the fields that are marked.</Problem>;
  return <Problem>{refused.message}</Problem>;
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly help?: ComponentChildren;
  readonly refused?: Refused | undefined;
  /** Given the ids that say what is wrong with it. */
  readonly children: (ids: {
    readonly id: string;
    readonly 'aria-describedby': string;
    readonly 'aria-invalid': boolean;
  }) => ComponentChildren;
}

export function Field({ name, label, help, refused, children }: FieldProps) {
  const wrong = wrongOf(refused, name);
  const id = `field-${name}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': `${id}-help`, 'aria-invalid': wrong.length > 0 })}
      <div id={`${id}-help`} class="help">
        {wrong.map(({ value, reason }) => (
          <p key={`${value} ${reason}`} class="wrong">
            <Mark name="broken" /> {value !== '' && <code>{value}</code>} {reason}
          </p>
        ))}
        {help && <p>{help}</p>}
      </div>
    </div>
  );
}
