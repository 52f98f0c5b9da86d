/** What `bootfarm status` prints. Pure. */
import { type Column, type Look, plain, tableText } from '../terminal/table.ts';
import type { FarmStatus, Health, Step } from './status.ts';

const MARKS: Readonly<Record<Health, string>> = { Well: 'ok', Worse: '!', Bad: '!!' };

interface Line {
  readonly mark: string;
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly message: string;
}

const COLUMNS: readonly Column<Line>[] = [
  { title: '', cell: ({ mark }) => mark },
  { title: 'KIND', cell: ({ kind }) => kind },
  { title: 'NAME', cell: ({ name }) => name, atLeast: 12 },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'MESSAGE', cell: ({ message }) => message, atLeast: 16 },
];

/** Of a kind: those that are well, and those that are not; more are counted. `-o wide`: all. */
const MOST_WELL = 8;
const MOST_WORSE = 20;

export function statusText(status: FarmStatus, look: Look): string {
  const { namespace, farm, steps, inTheWay } = status;
  const kinds = [...new Set(steps.map(({ kind }) => kind))];
  const lines = kinds.flatMap((kind) => {
    const here = steps.filter((step) => step.kind === kind);
    if (look.isWide) return here.map(lineOf);
    const worse = here.filter(({ health }) => health !== 'Well');
    const well = here.filter(({ health }) => health === 'Well');
    return [...some(kind, worse, MOST_WORSE), ...some(kind, well, MOST_WELL)];
  });
  const table = tableText(COLUMNS, lines, { width: look.width });
  if (!inTheWay) return `${table}\nFarm ${namespace}/${farm}: all is well.\n`;
  const { step, todo } = inTheWay;
  const what = `${step.kind} ${step.name}, ${step.state}`;
  const why = step.message === '' ? '' : `: ${plain(step.message)}`;
  return `${table}\nIn the way of farm ${namespace}/${farm}: ${what}${why}\nWhat to do: ${todo}\n`;
}

/** One that is too many is named: a line for it is no longer. */
function some(kind: string, steps: readonly Step[], most: number): readonly Line[] {
  if (steps.length <= most + 1) return steps.map(lineOf);
  const mark = MARKS[steps[0]?.health ?? 'Well'];
  const rest: Line = { mark, kind, name: `${steps.length - most} more`, state: '', message: '' };
  return [...steps.slice(0, most).map(lineOf), rest];
}

const lineOf = ({ kind, name, health, state, message }: Step): Line => ({
  ...{ mark: MARKS[health], kind, name, state },
  message: health === 'Well' ? '' : message,
});
