/** A file of devices: judged first, each bad line shown in it with what is wrong, mended here, and then taken whole or not at all. */
import { useState } from 'preact/hooks';
import { askJson } from '../ask.ts';
import type { FarmData } from '../farmdata.ts';
import { Refusal, useSending } from '../form.tsx';
import { Mark } from '../marks.tsx';
import { linkTo } from '../place.ts';
import type { Complaint, ImportResult } from '../shapes.ts';
import { counted, inNumber } from '../words.ts';

/** Bad lines that are shown at once; the rest comes when these are mended. */
const SHOWN = 100;

export function ImportPage({ data }: { readonly data: FarmData }) {
  const [text, setText] = useState('');
  const [judged, setJudged] = useState<ImportResult | undefined>(undefined);
  const [done, setDone] = useState<ImportResult | undefined>(undefined);
  const { refused, isBusy, send } = useSending();
  const give = (body: string, dryRun: boolean): Promise<boolean> =>
    send(async () => {
      setJudged(undefined);
      setDone(undefined);
      const result = await askJson<ImportResult>(data.path('/devices.csv'), {
        method: 'POST',
        body,
        query: { dryRun },
        signal: AbortSignal.timeout(60_000),
      });
      if (dryRun) setJudged(result);
      else setDone(result);
    });
  const take = async (file: File | undefined): Promise<void> => {
    const read = (await file?.text()) ?? '';
    setText(read);
    if (read !== '') await give(read, true);
  };
  const complaints = refused?.problem?.code === 'BadLines' ? (refused.problem.complaints ?? []) : [];
  return (
    <section aria-labelledby="import">
      <p class="path">
        <a href={linkTo('devices')}>All devices</a>
      </p>
      <h2 id="import">Import devices</h2>
      <p>
        A CSV file with the columns name, mac, collection, and where you like uuid, class, enabled and property.NAME. It
        is judged first; nothing is changed until you say so, and then all of it is, or nothing.
      </p>
      <p class="field">
        <label for="file">File</label>
        <input
          id="file"
          type="file"
          accept=".csv,text/csv"
          onChange={({ currentTarget }) => void take(currentTarget.files?.[0])}
        />
      </p>
      <div role="status">
        {isBusy && <p class="loading">Judging {counted(text.split('\n').length - 1, 'line')}…</p>}
        {judged && (
          <p class="verdict verdict-good">
            <Mark name="good" />
            <span>
              The file is right: {counted(judged.added, 'device')} to be added, {inNumber(judged.unchanged)} there
              already.
            </span>
          </p>
        )}
        {done && (
          <p class="verdict verdict-good">
            <Mark name="good" />
            <span>
              {counted(done.added, 'device was', 'devices were')} added. <a href={linkTo('devices')}>See them</a>
            </span>
          </p>
        )}
      </div>
      <Refusal of={refused} />
      {complaints.length > 0 && <BadLines text={text} complaints={complaints} onText={setText} />}
      {text !== '' && !done && (
        <p class="actions">
          <button type="button" disabled={isBusy} onClick={() => void give(text, true)}>
            Judge again
          </button>
          <button type="button" class="primary" disabled={isBusy || !judged} onClick={() => void give(text, false)}>
            Import
          </button>
        </p>
      )}
    </section>
  );
}

function BadLines({
  text,
  complaints,
  onText,
}: {
  readonly text: string;
  readonly complaints: readonly Complaint[];
  readonly onText: (text: string) => void;
}) {
  const lines = text.split('\n');
  const byLine = [...Map.groupBy(complaints, ({ line = 1 }) => line)].sort(([a], [b]) => a - b);
  const change = (at: number, line: string): void => onText(lines.with(at, line).join('\n'));
  return (
    <div class="badlines">
      <h3>Bad lines, in the file</h3>
      {byLine.length > SHOWN && (
        <p class="quiet">
          The first {SHOWN} of {inNumber(byLine.length)}: the others come when these are mended.
        </p>
      )}
      <ol>
        {byLine.slice(0, SHOWN).map(([line, wrong]) => (
          <li key={line}>
            <FileLine number={line - 1} text={lines[line - 2]} />
            <div class="fileline is-bad">
              <span class="fileline-number">{line}</span>
              <input
                aria-label={`Line ${line}`}
                aria-describedby={`wrong-${line}`}
                aria-invalid
                spellcheck={false}
                value={lines[line - 1] ?? ''}
                onInput={({ currentTarget }) => change(line - 1, currentTarget.value)}
              />
            </div>
            <ul id={`wrong-${line}`}>
              {wrong.map(({ field, value, reason }) => (
                <li key={`${field} ${reason}`} class="wrong">
                  <Mark name="broken" /> {field} {value !== '' && <code>{value}</code>}: {reason}
                </li>
              ))}
            </ul>
            <FileLine number={line + 1} text={lines[line]} />
          </li>
        ))}
      </ol>
    </div>
  );
}

function FileLine({ number, text }: { readonly number: number; readonly text: string | undefined }) {
  if (text === undefined || text === '') return null;
  return (
    <div class="fileline">
      <span class="fileline-number">{number}</span>
      <code>{text}</code>
    </div>
  );
}
