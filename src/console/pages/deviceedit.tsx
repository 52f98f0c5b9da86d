/** A device as a form: a new one, or one that is there. */
import { useRef, useState } from 'preact/hooks';
import { ask } from '../ask.ts';
import { blank, CLASSES, type DeviceFields, newOf } from '../deviceform.ts';
import type { FarmData } from '../farmdata.ts';
import { Field, Refusal, type Sending, useSending } from '../form.tsx';
import { go, linkTo } from '../place.ts';

const FIELDS = ['name', 'macs', 'collection', 'class', 'enabled', 'uuid', 'properties'];

interface DeviceFormProps {
  readonly data: FarmData;
  readonly start: DeviceFields;
  readonly isNew?: boolean;
  readonly sending: Sending;
  readonly onSave: (fields: DeviceFields) => Promise<void>;
  readonly onRemove?: () => Promise<void>;
}

export function DeviceForm({ data, start, isNew = false, sending, onSave, onRemove }: DeviceFormProps) {
  // What was typed stays when what it starts with is told only then.
  const [typed, setTyped] = useState<Partial<DeviceFields>>({});
  const fields = { ...start, ...typed };
  const set = (more: Partial<DeviceFields>): void => setTyped((before) => ({ ...before, ...more }));
  const { refused, isBusy } = sending;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void onSave(fields);
      }}
    >
      <Refusal of={refused} fields={FIELDS} />
      {isNew && (
        <Field name="name" label="Name" refused={refused} help="A DNS label, unique in the farm: pc0001.">
          {(ids) => (
            <input
              {...ids}
              required
              maxLength={63}
              value={fields.name}
              onInput={({ currentTarget }) => set({ name: currentTarget.value })}
            />
          )}
        </Field>
      )}
      <Field name="macs" label="MACs" refused={refused} help="One a line; the first is the one that it boots with.">
        {(ids) => (
          <textarea
            {...ids}
            required
            rows={2}
            spellcheck={false}
            value={fields.macs}
            onInput={({ currentTarget }) => set({ macs: currentTarget.value })}
          />
        )}
      </Field>
      <CollectionField data={data} fields={fields} set={set} sending={sending} />
      <Field name="class" label="Class" refused={refused} help="Which versions of a vDisk it may boot.">
        {(ids) => (
          <select
            {...ids}
            value={fields.class}
            onChange={({ currentTarget }) => set({ class: CLASSES.find((each) => each === currentTarget.value) ?? '' })}
          >
            <option value="">that of its collection</option>
            {CLASSES.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        )}
      </Field>
      <label class="check">
        <input
          type="checkbox"
          checked={fields.enabled}
          onChange={({ currentTarget }) => set({ enabled: currentTarget.checked })}
        />{' '}
        It may boot
      </label>
      <Field name="uuid" label="UUID" refused={refused} help="Of its SMBIOS. Empty: it is known by its MACs alone.">
        {(ids) => (
          <input
            {...ids}
            spellcheck={false}
            value={fields.uuid}
            onInput={({ currentTarget }) => set({ uuid: currentTarget.value })}
          />
        )}
      </Field>
      <Field
        name="properties"
        label="Properties"
        refused={refused}
        help="What it is told about itself: name=value, one a line."
      >
        {(ids) => (
          <textarea
            {...ids}
            rows={3}
            spellcheck={false}
            value={fields.properties}
            onInput={({ currentTarget }) => set({ properties: currentTarget.value })}
          />
        )}
      </Field>
      <p class="actions">
        <button type="submit" class="primary" disabled={isBusy}>
          {isNew ? 'Add' : 'Save'}
        </button>
        <a class="button" href={isNew ? linkTo('devices') : linkTo('devices', [start.name])}>
          Cancel
        </a>
        {onRemove && <Remove name={start.name} isBusy={isBusy} onRemove={onRemove} />}
      </p>
    </form>
  );
}

function CollectionField({
  data,
  fields,
  set,
  sending,
}: {
  readonly data: FarmData;
  readonly fields: DeviceFields;
  readonly set: (more: Partial<DeviceFields>) => void;
  readonly sending: Sending;
}) {
  const collections = data.farm.value?.collections.map(({ name }) => name) ?? [];
  return (
    <Field name="collection" label="Collection" refused={sending.refused} help="What it boots, and at which site.">
      {(ids) =>
        collections.length === 0 ? (
          <input
            {...ids}
            required
            value={fields.collection}
            onInput={({ currentTarget }) => set({ collection: currentTarget.value })}
          />
        ) : (
          <select
            {...ids}
            required
            value={fields.collection}
            onChange={({ currentTarget }) => set({ collection: currentTarget.value })}
          >
            {!collections.includes(fields.collection) && <option value={fields.collection}>{fields.collection}</option>}
            {collections.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        )
      }
    </Field>
  );
}

function Remove({
  name,
  isBusy,
  onRemove,
}: {
  readonly name: string;
  readonly isBusy: boolean;
  readonly onRemove: () => Promise<void>;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <>
      <button type="button" class="danger" disabled={isBusy} onClick={() => dialog.current?.showModal()}>
        Remove…
      </button>
      <dialog ref={dialog} aria-labelledby="remove-title">
        <h2 id="remove-title">Remove {name}?</h2>
        <p>It may not boot any more. What it streams now ends within seconds.</p>
        <p class="actions">
          <button
            type="button"
            class="danger"
            onClick={() => {
              dialog.current?.close();
              void onRemove();
            }}
          >
            Remove
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            Keep it
          </button>
        </p>
      </dialog>
    </>
  );
}

export function NewDevice({ data }: { readonly data: FarmData }) {
  const sending = useSending();
  const [first] = data.farm.value?.collections ?? [];
  const save = async (fields: DeviceFields): Promise<void> => {
    const body = newOf(fields);
    const done = await sending.send(() => ask(data.path('/devices'), { method: 'POST', body }));
    if (done) go(linkTo('devices', [body.name]));
  };
  return (
    <section aria-labelledby="new">
      <p class="path">
        <a href={linkTo('devices')}>All devices</a>
      </p>
      <h2 id="new">Add a device</h2>
      <DeviceForm data={data} start={blank(first?.name ?? '')} isNew sending={sending} onSave={save} />
    </section>
  );
}
